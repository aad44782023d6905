"""Weights of integers are scored as the numbers that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

import onnxprune as op
from tests.passes.samples import batches
from tests.texts import Weight, f32, model_of

DRAWN = np.random.default_rng(0)
INTEGERS: dict[str, np.ndarray] = {
    "w1": DRAWN.integers(-90, 90, (12, 6)).astype(np.int8),
    "w2": DRAWN.integers(-90, 90, (4, 12)).astype(np.int8),
}
SCALES = {
    "s1": f32(DRAWN.uniform(0.001, 0.05, 12)),
    "s2": f32(DRAWN.uniform(0.01, 0.02, 4)),
}
ZEROS = {
    "z1": DRAWN.integers(-20, 20, 12).astype(np.int8),
    "z2": DRAWN.integers(-20, 20, 4).astype(np.int8),
}
LAYERS = "a = Gemm<transB=1>(x, {0}) r = Relu(a) y = Gemm<transB=1>(r, {1})"


@pytest.mark.parametrize("criterion", ["l2", "l1", "max", "fpgm", "wanda", "obs", "activation"])
def test_scores_are_those_of_the_numbers(criterion: str) -> None:
    decoded = " ".join(f"f{i} = DequantizeLinear<axis=0>(w{i}, s{i}, z{i})" for i in (1, 2))
    io = "g (float[n,6] x) => (float[n,4] y)"
    weights: dict[str, Weight] = {**INTEGERS, **SCALES, **ZEROS}
    quantized = model_of(f"{io} {{ {decoded} {LAYERS.format('f1', 'f2')} }}", weights)
    numbers: dict[str, Weight] = {
        f"f{i}": (INTEGERS[f"w{i}"] - ZEROS[f"z{i}"][:, None].astype(np.float32))
        * SCALES[f"s{i}"][:, None]
        for i in (1, 2)
    }
    plain = model_of(f"{io} {{ {LAYERS.format('f1', 'f2')} }}", numbers)
    data = batches((6,), 4)
    kept = []
    for model, name in ((quantized, "w1"), (plain, "f1")):
        result = op.prune(model, 0.5, round_to=1, criterion=criterion, data=data, repair=False)
        kept.append(result.plan.initializers[name][0])
    assert kept[0] == kept[1]
