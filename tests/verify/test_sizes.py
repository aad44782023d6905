"""Proof at other sizes than those of the analysis, and where outputs saturate."""

from __future__ import annotations

import numpy as np

import onnxprune as op
from tests.texts import Weight, model_of

MIXED = """g (float[n,3,h,5] x) => (float[n,4] y)
    <int64[2] rows = {-1, 8}, int64[1] flat = {-1}> {
    c = Conv(x, w1)  p = GlobalAveragePool(c)
    f = Reshape(p, flat)  s = Sigmoid(f)
    r = Reshape(s, rows)  y = MatMul(r, w2)
}"""
WEIGHTS: dict[str, Weight] = {"w1": (8, 3, 1, 1), "w2": (8, 4)}


def test_an_axis_of_samples_and_channels_has_other_masks_at_other_sizes() -> None:
    result = op.prune(model_of(MIXED, WEIGHTS), 0.5, round_to=1)
    (leaf,) = result.removals[0].keeps
    flat = result.removals[0].analysis.values["s"].dims[0]
    assert leaf in flat.leaves()
    assert flat.size == 2 * 8
    assert result.verify().passed
    rng = np.random.default_rng(0)
    for shape in ((1, 3, 9, 5), (5, 3, 2, 5)):
        feeds = [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(2)]
        assert result.verify(feeds).passed


def test_a_saturated_output_is_known_by_what_it_is_computed_from() -> None:
    text = """g (float[2,6] x) => (float[2,4] y) {
        h = MatMul(x, w1)  r = Relu(h)  l = Gemm(r, w2, b)  y = Sigmoid(l)
    }"""
    weights: dict[str, Weight] = {
        "w1": (6, 8),
        "w2": (8, 4),
        "b": np.full(4, -2000, np.float32),
    }
    model = model_of(text, weights)
    result = op.prune(model, 0.5, round_to=1)
    feeds = result.feeds()
    quiet = [{"x": 1e-3 * feed["x"]} for feed in feeds]
    assert result.verify(feeds).passed
    assert result.verify(quiet, check=False).verdict == "cannot tell"
