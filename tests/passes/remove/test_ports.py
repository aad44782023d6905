"""Graph inputs and outputs that the user allows to be pruned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxprune as op
from onnxprune.coupling.plan import Plan
from onnxprune.errors import UsageError
from onnxprune.runtime import Session
from tests.texts import model_of

DECODER = """g (
        float[batch,1,24] x, float[batch,4,past,6] past_key, float[batch,4,past,6] past_value
    ) => (
        float[batch,1,24] y,
        float[batch,4,total,6] present_key, float[batch,4,total,6] present_value
    ) <int64[4] heads = {0,-1,4,6}, int64[3] flat = {0,-1,24}> {
    [q] q0 = MatMul(x, wq)  q1 = Reshape(q0, heads)  q2 = Transpose<perm=[0,2,1,3]>(q1)
    [k] k0 = MatMul(x, wk)  k1 = Reshape(k0, heads)  k2 = Transpose<perm=[0,2,1,3]>(k1)
    [v] v0 = MatMul(x, wv)  v1 = Reshape(v0, heads)  v2 = Transpose<perm=[0,2,1,3]>(v1)
    present_key = Concat<axis=2>(past_key, k2)
    present_value = Concat<axis=2>(past_value, v2)
    kt = Transpose<perm=[0,1,3,2]>(present_key)
    scores = MatMul(q2, kt)
    weights = Softmax<axis=-1>(scores)
    mixed = MatMul(weights, present_value)
    back = Transpose<perm=[0,2,1,3]>(mixed)
    joined = Reshape(back, flat)
    y = MatMul(joined, wo)
}"""
WEIGHTS = dict.fromkeys(("wq", "wk", "wv", "wo"), (24, 24))
CACHES = ("past_key:1", "past_value:1", "present_*:1")


def decoder() -> op.Model:
    return model_of(DECODER, dict(WEIGHTS))


def pruned(*allow_io: str) -> op.Result:
    return op.prune(decoder(), 0.5, allow_io=allow_io, round_to=1)


def declared(model: op.Model, name: str) -> list[int | str]:
    infos = (*model.proto.graph.input, *model.proto.graph.output)
    (info,) = (info for info in infos if info.name == name)
    return [dim.dim_value or dim.dim_param for dim in info.type.tensor_type.shape.dim]


def test_a_cache_keeps_its_heads_unless_allowed() -> None:
    assert not pruned().is_pruned


def test_half_a_permission_is_none() -> None:
    result = pruned("past_key:1", "past_value:1")
    assert not result.is_pruned
    head = result.removals[0].analysis.values["q2"].dims[1].root
    assert head.block is not None
    assert head.block.reason == "graph output present_key, axis 1"


def test_heads_of_a_cache_go_as_allowed() -> None:
    result = pruned(*CACHES)
    assert result.verify().passed
    assert result.model.constants["wq"].shape == (24, 12)
    for name in ("past_key", "past_value", "present_key", "present_value"):
        assert declared(result.model, name)[1] == 2
        assert len(result.ports[name][1]) == 2


def test_fidelity_and_speed_feed_what_is_left() -> None:
    result = pruned(*CACHES)
    assert result.fidelity()["present_key"].cosine == pytest.approx(1.0, abs=1e-5)
    assert result.benchmark(budget_s=0.05).pairs > 0


def test_a_plan_remembers_the_permission(tmp_path: Path) -> None:
    result = pruned(*CACHES)
    result.plan.save(tmp_path / "plan.json")
    again = op.apply_plan(Plan.load(tmp_path / "plan.json"), decoder())
    assert again.verify().passed
    assert again.ports.keys() == result.ports.keys()


def test_a_feature_input_may_shrink() -> None:
    model = model_of(
        """g (float[n,16] x) => (float[n,4] y) { h = Gemm(x, w1)  r = Relu(h)  y = Gemm(r, w2) }""",
        {"w1": (16, 8), "w2": (8, 4)},
    )
    result = op.prune(model, 0.5, allow_io=("x:1",), round_to=1)
    assert result.verify().passed
    assert result.model.constants["w1"].shape == (8, 4)
    x = np.ones((3, 8), np.float32)
    assert Session(result.model.to_bytes()).run({"x": x})["y"].shape == (3, 4)
    onnx.checker.check_model(result.model.proto)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("past_key", "does not say which axis"),
        ("past_key:heads", "does not say which axis"),
        ("cache:1", "no graph input or output is named 'cache'"),
        ("past_key:4", "'past_key' has no axis 4"),
    ],
)
def test_a_permission_that_makes_no_sense(entry: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pruned(entry)
