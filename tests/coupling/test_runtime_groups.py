"""Groups of ONNX Runtime's own operators, and what pruning them writes into the nodes."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import pytest

import onnxprune as op
from onnxprune.coupling.groups import DEFAULT_KINDS, choose
from tests.coupling.models import Coupled, couple, members
from tests.texts import proto_of

IMPORTS = '"" : 17, "com.microsoft" : 1'
ATTENTION = """
  a = com.microsoft.Attention <num_heads = 4> (x, w, bias)
  y = MatMul(a, wo)
"""
SHARED = """
  q = MatMul(x, wq)
  k = MatMul(x, wk)
  v = MatMul(x, wv)
  lengths = Constant <value = int32[2] {4, 4}> ()
  total = Constant <value = int32 {5}> ()
  a = com.microsoft.GroupQueryAttention <num_heads = 6, kv_num_heads = 2>
    (q, k, v, , , lengths, total)
  y = MatMul(a, wo)
"""
EXPERTS = """
  flat = Constant <value_ints = [-1, 6]> ()
  rows = Reshape(x, flat)
  router = MatMul(rows, wr)
  a = com.microsoft.MoE <k = 3, activation_type = "gelu"> (x, router, w1, bias1, w2)
  b = com.microsoft.SkipSimplifiedLayerNormalization (a, x, gamma)
  c = SimplifiedLayerNormalization <axis = -1, epsilon = 1e-5> (b, gamma2)
  y = MatMul(c, wo)
"""
WEIGHTS: dict[str, dict[str, tuple[int, ...]]] = {
    ATTENTION: {"w": (6, 60), "bias": (60,), "wo": (20, 6)},
    SHARED: {"wq": (6, 48), "wk": (6, 16), "wv": (6, 16), "wo": (48, 6)},
    EXPERTS: {
        "wr": (6, 5),
        "w1": (5, 8, 6),
        "bias1": (5, 8),
        "w2": (5, 6, 8),
        "gamma": (6,),
        "gamma2": (6,),
        "wo": (6, 7),
    },
}


def coupled(body: str) -> Coupled:
    return couple(body, WEIGHTS[body], "float[2,5,6] x", "float[2,5,?] y", imports=IMPORTS)


def pruned(body: str, kind: str, ratio: float) -> tuple[op.Result, Mapping[str, object]]:
    """A model pruned of one kind, proven; and the attributes of its first node that is no layer."""
    text = (
        f"<ir_version: 8, opset_import: [{IMPORTS}]>"
        f"g (float[2,5,6] x) => (float[2,5,n] y) {{ {body} }}"
    )
    result = op.prune(
        op.load(proto_of(text, WEIGHTS[body])), ratio, kinds=(kind,), round_to=1, repair=False
    )
    assert result.verify().verdict == "passed"
    node = next(x for x in result.model.proto.graph.node if x.domain)
    return result, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def test_a_projection_inside_of_attention_has_heads_and_their_dimensions() -> None:
    model = coupled(ATTENTION)
    assert model.tree("w", 1) == "(4 5)+(4 5)+(4 5)"
    head, dims, values = model.groups_on("w", 1)
    assert [group.kind for group in (head, dims, values)] == ["head", "head_dim", "head_dim"]
    assert members(head) == {("w", 1), ("bias", 0), ("wo", 0)}
    assert members(dims) == {("w", 1), ("bias", 0)}
    assert members(values) == {("w", 1), ("bias", 0), ("wo", 0)}
    assert all(group.members[0].producer for group in model.groups)
    assert choose(model.groups, DEFAULT_KINDS) == [head]


def test_attention_counts_the_heads_that_stay() -> None:
    result, attributes = pruned(ATTENTION, "head", 0.5)
    assert attributes == {"num_heads": 2}
    assert result.model.constants["w"].shape == (6, 30)


def test_attention_keeps_its_scale_when_it_loses_dimensions() -> None:
    result, attributes = pruned(ATTENTION, "head_dim", 0.4)
    assert attributes == {"num_heads": 4, "scale": pytest.approx(5**-0.5)}
    assert result.model.constants["w"].shape == (6, 36)


def test_queries_of_one_operator_share_keys() -> None:
    model = coupled(SHARED)
    assert [group.kind for group in model.groups_on("wq", 1)] == ["kv_group", "head"]
    assert [group.kind for group in model.groups_on("wk", 1)] == ["kv_group"]


@pytest.mark.parametrize(("kind", "heads"), [("kv_group", (3, 1)), ("head", (4, 2))])
def test_both_counts_of_heads_follow(kind: str, heads: tuple[int, int]) -> None:
    _, attributes = pruned(SHARED, kind, 0.5 if kind == "kv_group" else 1 / 3)
    assert (attributes["num_heads"], attributes["kv_num_heads"]) == heads


def test_experts_and_their_channels_are_groups() -> None:
    model = coupled(EXPERTS)
    kinds = {group.kind: group for group in model.groups}
    assert kinds.keys() == {"expert", "intermediate"}
    assert members(kinds["expert"]) == {("wr", 1), ("w1", 0), ("bias1", 0), ("w2", 0)}
    assert members(kinds["intermediate"]) == {("w1", 1), ("bias1", 1), ("w2", 2)}
    assert choose(model.groups, DEFAULT_KINDS) == [kinds["intermediate"]]


@pytest.mark.parametrize(("ratio", "left", "chosen"), [(0.4, 3, 3), (0.6, 2, 2)])
def test_no_more_experts_are_chosen_than_there_are(ratio: float, left: int, chosen: int) -> None:
    result, attributes = pruned(EXPERTS, "expert", ratio)
    assert result.model.constants["w1"].shape == (left, 8, 6)
    assert attributes["k"] == chosen


def test_experts_lose_channels() -> None:
    result, _ = pruned(EXPERTS, "intermediate", 0.5)
    assert result.model.constants["w2"].shape == (5, 6, 4)


def test_what_the_optimizer_writes_into_old_standard_sets_is_valid() -> None:
    text = (
        '<ir_version: 8, opset_import: ["": 14]> g (float[2,5,6] x) => (float[2,5,n] y)'
        "{ a = MatMul(x, w1)  b = LayerNormalization (a, gamma, beta)  y = MatMul(b, w2) }"
    )
    weights = {"w1": (6, 8), "gamma": (8,), "beta": (8,), "w2": (8, 3)}
    result = op.prune(op.load(proto_of(text, weights)), 0.5, round_to=1, repair=False)
    assert result.model.constants["gamma"].shape == (4,)
    assert result.verify().verdict == "passed"
