"""Channels in another order: the same network, and more left by a pattern."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxprune as op
from onnxprune.errors import UsageError
from onnxprune.passes import FoldConstants, PermuteChannels, RemoveChannels, Sparsify
from onnxprune.passes.sparsify import permute
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.result import Result
from onnxprune.runtime import Session
from tests.conftest import FIXTURES
from tests.texts import assert_valid, f32, model_of

RESIDUAL = """
g (float[n, 8, 6, 6] x) => (float[n, 4] y) {
  a = Conv<kernel_shape=[3, 3], pads=[1, 1, 1, 1]>(x, w1, b1)
  n1 = BatchNormalization(a, s, t, m, v)
  r = Relu(n1)
  c = Conv<group=2, kernel_shape=[1, 1]>(r, w2)
  d = Add(c, r)
  e = Concat<axis=1>(d, r)
  p = GlobalAveragePool(e)
  f = Flatten(p)
  y = Gemm<transB=1>(f, w3, b3)
}"""
WEIGHTS: dict[str, Any] = {
    "w1": (16, 8, 3, 3), "b1": (16,), "s": (16,), "t": (16,), "m": (16,),
    "v": np.abs(f32(np.random.default_rng(0).standard_normal(16))) + 0.5,
    "w2": (16, 8, 1, 1), "w3": (4, 32), "b3": (4,),
}  # fmt: skip


def _run(model: op.Model, x: np.ndarray) -> np.ndarray:
    return Session(model.to_bytes()).run({"x": x})["y"]


def _permuted(model: op.Model, *more: Any) -> Result:
    return op.Pipeline([FoldConstants(), PermuteChannels(pattern="2:4"), *more]).run(model)


def test_the_network_computes_the_same_in_another_order() -> None:
    model = model_of(RESIDUAL, WEIGHTS)
    result = _permuted(model)
    assert "2:4 keeps" in result.reports[-1].did[0]
    assert not np.array_equal(result.model.constants["w1"].numpy(), model.constants["w1"].numpy())
    assert_valid(result.model)
    x = f32(np.random.default_rng(1).standard_normal((3, 8, 6, 6)))
    np.testing.assert_allclose(_run(result.model, x), _run(model, x), rtol=1e-4, atol=1e-5)
    assert result.verify().passed


def test_a_pattern_keeps_more_then(tmp_path: Path) -> None:
    model = model_of(RESIDUAL, WEIGHTS)
    pattern = Sparsify(pattern="2:4")
    with_order = _permuted(model, pattern)
    without = op.Pipeline([FoldConstants(), pattern]).run(model)
    assert _magnitude(with_order) > 1.01 * _magnitude(without)
    assert with_order.verify().passed
    plan = with_order.plan
    assert {"w1", "b1", "w3"} <= plan.repaired.keys()
    plan.save(tmp_path / "plan.json")
    proof = Comparison(model, with_order.model, {}, plan=op.Plan.load(tmp_path / "plan.json"))
    assert proof.equivalence().passed


def _magnitude(result: Result) -> float:
    return sum(float(np.abs(result.model.constants[n].numpy()).sum()) for n in ("w2", "w3"))


@pytest.mark.parametrize("name", ["digits_cnn.dyn", "digits_vit.ts"])
def test_trained_networks(name: str) -> None:
    result = _permuted(op.load(FIXTURES / f"{name}.onnx"), Sparsify(pattern="2:4"))
    assert result.removals[0].permuted
    assert result.verify().passed


def test_inputs_outputs_and_running_sums_keep_their_order() -> None:
    text = """
g (float[n, 8] x) => (float[n, 8] y) {
  h = MatMul(x, w1)
  c = CumSum(h, one)
  y = MatMul(c, w2)
}"""
    weights: dict[str, Any] = {"w1": (8, 8), "w2": (8, 8), "one": np.array(1)}
    result = _permuted(model_of(text, weights))
    assert not result.removals
    assert result.reports[-1].did == ["left channels in their order: no other keeps more"]


def test_a_wrong_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = permute._permuted

    def wrong(analysis: Any, orders: Any) -> Any:
        model, names = right(analysis, orders)
        model.set_constants({"b1": analysis.canonical.model.constants["b1"]})
        return model, names

    monkeypatch.setattr(permute, "_permuted", wrong)
    result = _permuted(model_of(RESIDUAL, WEIGHTS))
    assert result.verify(check=False).verdict == "failed"


def test_nothing_is_removed_afterwards() -> None:
    with pytest.raises(UsageError, match="cannot be removed after"):
        _permuted(model_of(RESIDUAL, WEIGHTS), RemoveChannels(ratio=0.5))
