"""Fidelity, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import onnxprune as op
from onnxprune.verify.fidelity import compare_outputs
from tests.texts import f32, model_of


def test_known_numbers() -> None:
    x, y = f32([[3, 4]]), f32([[4, 3]])
    found = compare_outputs([x], [y])
    assert found.cosine == pytest.approx(24 / 25)
    assert found.sqnr_db == pytest.approx(10 * np.log10(25 / 2))
    assert found.max_abs == 1
    assert found.top1 == 0


def test_equal_outputs() -> None:
    x = f32([[1, 2, 3], [6, 5, 4]])
    found = compare_outputs([x], [x])
    assert found.cosine == pytest.approx(1)
    assert (found.sqnr_db, found.max_abs, found.top1) == (float("inf"), 0, 1)


def test_several_inputs_count_together() -> None:
    x = [f32([[1, 0]]), f32([[0, 2]])]
    y = [f32([[1, 0]]), f32([[1, 0]])]
    found = compare_outputs(x, y)
    assert found.cosine == pytest.approx(1 / np.sqrt(5 * 2))
    assert found.max_abs == 2
    assert found.top1 == 0.5


def test_opposite_and_zero_outputs() -> None:
    x = f32([1, -2])
    assert compare_outputs([x], [-x]).cosine == pytest.approx(-1)
    zero = np.zeros(2, np.float32)
    assert compare_outputs([zero], [zero]).cosine == 1
    assert compare_outputs([x], [zero]).cosine == 0
    assert compare_outputs([x], [x]).top1 is None


def test_values_that_are_not_finite_are_left_out() -> None:
    x, y = f32([1, np.inf, np.nan]), f32([1, np.inf, 2])
    found = compare_outputs([x], [y])
    assert found.cosine == pytest.approx(1)
    assert found.max_abs == 0


def test_result_measures_every_output() -> None:
    model = model_of(
        "g (float[2,4] x) => (float[2,3] y, float[2,5] z) "
        "{ h = MatMul(x, a) y = MatMul(h, b) z = MatMul(h, c) }",
        {"a": (4, 9), "b": (9, 3), "c": (9, 5)},
    )
    result = op.prune(model, 0.5, round_to=1)
    fidelity = result.fidelity()
    assert fidelity.keys() == {"y", "z"}
    assert all(0 < f.cosine < 1 and f.max_abs > 0 for f in fidelity.values())
    lossless = op.Pipeline("fold-constants").run(model).fidelity()
    assert lossless["y"].max_abs == 0
