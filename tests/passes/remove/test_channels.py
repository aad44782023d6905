"""remove-channels: what goes, what stays, and what the file says afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import onnxprune as op
from onnxprune.coupling.axis_plan import Blocks
from onnxprune.coupling.groups import KINDS
from onnxprune.errors import UsageError
from onnxprune.passes import RemoveChannels
from tests.texts import Weight, model_of, node_of, proto_of

CHAIN = """g (float[2,3,6,6] x) => (float[2,5,6,6] y) {
    [one] a = Conv(x, w1, b1)  r = Relu(a)
    [two] c = Conv(r, w2, b2)  s = Relu(c)
    [three] y = Conv(s, w3)
}"""


def ranked(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A kernel whose filters grow: index i of axis 0 has norm i + 1."""
    kernel = np.ones(shape, np.float32)
    kernel *= np.arange(1, shape[0] + 1, dtype=np.float32).reshape(-1, *[1] * (len(shape) - 1))
    return kernel * np.where(np.arange(kernel.size).reshape(shape) % 2, 1, -1).astype(np.float32)


def chain() -> op.Model:
    weights: dict[str, Weight] = {
        "w1": ranked(10, 3, 1, 1),
        "b1": (10,),
        "w2": ranked(20, 10, 1, 1)[::-1].copy(),
        "b2": (20,),
        "w3": (5, 20, 1, 1),
    }
    return model_of(CHAIN, weights)


def shapes(model: op.Model) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in model.constants.items()}


def test_weakest_filters_go() -> None:
    result = op.prune(chain(), 0.3, round_to=1)
    assert shapes(result.model) == {
        "w1": (7, 3, 1, 1),
        "b1": (7,),
        "w2": (14, 7, 1, 1),
        "b2": (14,),
        "w3": (5, 14, 1, 1),
    }
    assert result.plan.initializers["w1"] == {0: tuple(range(3, 10))}
    assert result.plan.initializers["w2"] == {0: tuple(range(14)), 1: tuple(range(3, 10))}
    whole = chain().constants
    expected = whole["w2"].numpy()[:14, 3:]
    assert np.array_equal(result.model.constants["w2"].numpy(), expected)
    assert "removed 9 of 30 channels in 2 of 2 groups, by l2" in result.reports[1].did


def test_norms_differ() -> None:
    """One large element beats many small ones under l2, and loses to them under l1."""
    kernel = np.full((2, 3, 3, 3), 0.1, np.float32)
    kernel[1] = 0
    kernel[1, 0, 0, 0] = 1.5
    model = model_of(
        "g (float[2,3,6,6] x) => (float[2,5,4,4] y) { a = Conv(x, w1) y = Conv(a, w2) }",
        {"w1": kernel, "w2": (5, 2, 1, 1)},
    )
    kept = {
        norm: op.prune(model, 0.5, criterion=norm, round_to=1).plan.initializers["w1"][0]
        for norm in ("l1", "l2")
    }
    assert kept == {"l1": (0,), "l2": (1,)}


def test_global_scope_ranks_all_channels_together() -> None:
    even = np.ones((10, 3, 1, 1), np.float32)
    model = model_of(CHAIN, {"w1": even, "b1": (10,), "w2": ranked(20, 10, 1, 1), "b2": (20,),
                             "w3": (5, 20, 1, 1)})  # fmt: skip
    result = op.prune(model, 0.3, scope="global", round_to=1)
    assert result.model.constants["w1"].shape[0] == 10
    assert result.plan.initializers["w2"] == {0: tuple(range(9, 20))}
    assert result.verify().passed


@pytest.mark.parametrize(("round_to", "widths"), [(1, (7, 14)), (2, (8, 14)), (4, (8, 16)),
                                                  (8, (8, 16)), (32, (10, 20))])  # fmt: skip
def test_widths_are_rounded(round_to: int, widths: tuple[int, int]) -> None:
    result = op.prune(chain(), 0.3, round_to=round_to)
    found = tuple(result.model.constants[name].shape[0] for name in ("w1", "w2"))
    assert found == widths
    assert result.is_pruned == (widths != (10, 20))


def test_minimum_is_kept() -> None:
    result = op.prune(chain(), 0.95, round_to=1, minimum=6)
    assert [result.model.constants[n].shape[0] for n in ("w1", "w2")] == [6, 6]
    assert [op.prune(chain(), 0.99, round_to=1).model.constants[n].shape[0] for n in ("w1", "w2")] \
        == [1, 1]  # fmt: skip


NOTHING: set[str] = set()


@pytest.mark.parametrize(
    ("pattern", "pruned"),
    [
        ("one", {"w2"}),  # its outputs
        ("two", NOTHING),  # its outputs, and its inputs, which the first layer makes
        ("three", {"w1"}),  # its inputs
        ("t*", NOTHING),
        ("s", {"w1"}),
        ("Conv", NOTHING),
        ("nothing", {"w1", "w2"}),
    ],
)
def test_ignore_holds_for_inputs_and_outputs(pattern: str, pruned: set[str]) -> None:
    result = op.prune(chain(), 0.3, round_to=1, ignore=(pattern,))
    found = {n for n in ("w1", "w2") if 0 in result.plan.initializers.get(n, {})}
    assert found == pruned
    if not pruned:
        assert any("ignored" in refusal.reason for refusal in result.refused)


ATTENTION = """g (float[2,5,8] x) => (float[2,5,8] y) {
    q0 = MatMul(x, wq)  q1 = Reshape(q0, cut)  q = Transpose<perm=[0,2,1,3]>(q1)
    k0 = MatMul(x, wk)  k1 = Reshape(k0, cut)  k = Transpose<perm=[0,2,3,1]>(k1)
    v0 = MatMul(x, wv)  v1 = Reshape(v0, cut)  v = Transpose<perm=[0,2,1,3]>(v1)
    s = MatMul(q, k)  p = Softmax<axis=-1>(s)  o = MatMul(p, v)
    t = Transpose<perm=[0,2,1,3]>(o)  f = Reshape(t, join)  y = MatMul(f, wo)
}"""


@pytest.mark.parametrize(
    ("kinds", "target"), [(("head",), [2, 5, 2, 6]), (("head_dim",), [2, 5, 4, 3])]
)
def test_kinds_say_what_of_attention_goes(kinds: tuple[str, ...], target: list[int]) -> None:
    model = model_of(
        ATTENTION,
        {
            **dict.fromkeys(("wq", "wk", "wv"), (8, 24)),
            "wo": (24, 8),
            "cut": np.array([2, 5, 4, 6]),
            "join": np.array([2, 5, 24]),
        },
    )
    result = op.prune(model, 0.5, kinds=kinds, round_to=1)
    cut = result.model.constants[node_of(result.model, "q1").input[1]].numpy()
    assert cut.tolist() == target
    assert result.verify().passed
    assert not op.prune(model, 0.5, kinds=("channel",)).is_pruned


GROUPED = """g (float[2,3,5,5] x) => (float[2,5,5,5] y) {
    a = Conv(x, w0)  h = Conv<group=2>(a, w1, b1)  y = Conv(h, w2)
}"""


def test_grouped_convolution_is_selected_block_by_block() -> None:
    """Each group keeps as many outputs and inputs, but its own ones: ``w[(g o), i]``."""
    first = np.ones((6, 3, 1, 1), np.float32)
    first[[0, 4]] = 0.1  # in group 0 the first of three is weak, in group 1 the second
    kernel = np.ones((6, 3, 1, 1), np.float32)
    kernel[[0, 5]] = 0.1
    weights: dict[str, Weight] = {"w0": first, "w1": kernel, "b1": (6,), "w2": (5, 6, 1, 1)}
    result = op.prune(model_of(GROUPED, weights), 0.34, round_to=1)
    assert result.plan.initializers["w0"] == {0: (1, 2, 3, 5)}
    assert result.plan.initializers["w1"] == {
        0: (1, 2, 3, 4),
        1: Blocks(0, ((1, 2), (0, 2))),
    }
    marked = model_of(GROUPED, weights | {"w1": ranked(6, 3, 1, 1)})
    again = op.apply_plan(result.plan, marked).model.constants["w1"].numpy()
    whole = marked.constants["w1"].numpy()
    expected = np.concatenate([whole[1:3][:, [1, 2]], whole[3:5][:, [0, 2]]])
    assert np.array_equal(again, expected)
    assert next(a.i for a in node_of(result.model, "h").attribute if a.name == "group") == 2
    assert result.verify().passed


def test_whole_groups_of_a_convolution() -> None:
    weights: dict[str, Weight] = {
        "w0": (6, 3, 1, 1), "w1": ranked(6, 3, 1, 1), "b1": (6,), "w2": (5, 6, 1, 1),
    }  # fmt: skip
    result = op.prune(model_of(GROUPED, weights), 0.5, kinds=("group",), round_to=1)
    assert result.plan.initializers["w1"] == {0: (3, 4, 5)}
    assert next(a.i for a in node_of(result.model, "h").attribute if a.name == "group") == 1
    assert result.verify().passed


def test_declared_shapes_follow() -> None:
    proto = onnx.shape_inference.infer_shapes(proto_of(CHAIN, {
        "w1": (10, 3, 1, 1), "b1": (10,), "w2": (20, 10, 1, 1), "b2": (20,), "w3": (5, 20, 1, 1),
    }))  # fmt: skip
    assert proto.graph.value_info
    pruned = op.prune(op.load(proto), 0.3, round_to=1).model.to_proto()
    assert len(pruned.graph.value_info) == len(proto.graph.value_info)
    stripped = onnx.ModelProto()
    stripped.CopyFrom(pruned)
    del stripped.graph.value_info[:]
    fresh = onnx.shape_inference.infer_shapes(stripped, strict_mode=True, data_prop=True)
    told = {info.name: info.type for info in pruned.graph.value_info}
    assert told == {info.name: info.type for info in fresh.graph.value_info}


def test_a_ratio_of_zero_removes_nothing() -> None:
    for scope in ("uniform", "global"):
        result = op.prune(chain(), 0.0, scope=scope, round_to=1)
        assert not result.is_pruned
        assert not result.plan.initializers


def test_refusals_name_the_reason() -> None:
    model = model_of(
        "g (float[2,4] x) => (float[2,3] y) { y = Gemm(x, w, b) }", {"w": (4, 3), "b": (3,)}
    )
    result = op.prune(model, 0.5)
    assert not result.is_pruned
    reasons = {(refusal.reason, refusal.parameters) for refusal in result.refused}
    assert reasons == {("graph input x, axis 1", 12), ("graph output y, axis 1", 3)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1.0}, "ratio"),
        ({"ratio": -0.1}, "ratio"),
        ({"ratio": float("nan")}, "ratio"),
        ({"scope": "local"}, "scope"),
        ({"criterion": "l3"}, "criterion"),
        ({"kinds": ("heads",)}, "kind"),
        ({"round_to": 0}, "round_to"),
        ({"round_to": "some"}, "round_to"),
        ({"minimum": 0}, "minimum"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        RemoveChannels(**options)
    assert raised.value.exit_code == 2


def test_default_kinds_leave_out_what_is_off_by_default() -> None:
    assert set(KINDS) - set(RemoveChannels().kinds) == {"head_dim", "expert", "vocabulary"}


def test_old_models_list_new_initializers_among_their_inputs() -> None:
    text = """<ir_version: 3, opset_import: ["": 8]>
    g (float[2,6] x, float[6,8] w1, float[8,4] w2, float one, float two) => (float[2,4] y) {
        h = MatMul(x, w1)  n = Add(one, two)  s = Mul(h, n)  r = Relu(s)  y = MatMul(r, w2)
    }"""
    weights: dict[str, Weight] = {"w1": (6, 8), "w2": (8, 4), "one": (), "two": ()}
    proto = proto_of(text, weights)
    result = op.prune(op.load(proto), 0.5, round_to=1)
    assert result.verify().passed
    assert result.model.constants["w1"].shape == (6, 4)
    onnx.checker.check_model(result.model.to_proto())


def test_bounds_of_axes_that_lose_nothing_stay_as_written() -> None:
    """The batch is dynamic, and sliced to its end beside the channels."""
    model = model_of(
        """g (float[N,6] x) => (float[N,5] y) {
            h = MatMul(x, w1)
            s = Slice(h, zeros, far, axes)
            y = MatMul(s, w2)
        }""",
        {
            "w1": (6, 12),
            "w2": (8, 5),
            "zeros": np.array([4, 0]),
            "far": np.array([10**9, 10**9]),
            "axes": np.array([1, 0]),
        },
    )
    result = op.prune(model, 0.5, round_to=1)
    assert result.is_pruned
    assert result.verify().passed
    assert result.model.constants["far"].numpy()[1] == 10**9
