"""Fidelity, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import onnxprune as op
from onnxprune.verify.fidelity import ERROR_EDGES, Fidelities, compare_outputs
from tests.texts import f32, model_of


def test_numbers_worked_out_by_hand() -> None:
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


def test_what_is_not_finite_in_the_original_is_left_out() -> None:
    x, y = f32([1, np.inf, np.nan]), f32([1, np.inf, 2])
    found = compare_outputs([x], [y])
    assert found.cosine == pytest.approx(1)
    assert (found.max_abs, found.non_finite) == (0, 0)


def test_what_is_not_finite_in_the_pruned_model_counts_as_0() -> None:
    x = f32([[3, 4, 12]])
    found = compare_outputs([x], [f32([[3, np.nan, np.inf]])])
    assert found.cosine == pytest.approx(3 / 13)
    assert (found.max_abs, found.top1, found.non_finite) == (12, 0, 2)
    collapsed = compare_outputs([x, x], [np.full_like(x, np.nan)] * 2)
    assert (collapsed.cosine, collapsed.sqnr_db, collapsed.top1) == (0, 0, 0)
    assert collapsed.non_finite == 6


def test_the_batches_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 30, 5)).astype(np.float32)
    whole, parts = compare_outputs([x], [y]), compare_outputs(np.split(x, 6), np.split(y, 6))
    assert parts.cosine == pytest.approx(whole.cosine)
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db)
    assert (parts.max_abs, parts.top1) == (whole.max_abs, whole.top1)


def test_outputs_of_uneven_shapes_are_left_out() -> None:
    """What passes a threshold is another number of rows in each model."""
    found = Fidelities()
    x, rows = f32([[1, 2]]), f32([[1], [2]])
    found.add({"y": x, "z": rows}, {"y": x, "z": rows})
    found.add({"y": x, "z": rows}, {"y": x, "z": rows[:1]})
    assert found.found().keys() == {"y"}


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


def test_what_does_not_react_is_told() -> None:
    steady = f32([[1, 2, 3]])
    assert not compare_outputs([steady, steady], [steady, steady]).reacts
    assert compare_outputs([steady, steady + 1], [steady, steady]).reacts
    assert compare_outputs([np.vstack([steady, -steady])], [np.zeros((2, 3))]).reacts


def test_errors_are_counted_in_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    original = (1e3 * rng.standard_normal((8, 50))).astype(np.float64)
    closeness = {size: Fidelities(errors=True) for size in (1, 8)}
    for size, found in closeness.items():
        for part in np.split(original, 8 // size):
            found.add({"y": part}, {"y": part + 1e-2 * original.std()})
    whole, parts = (closeness[size].found()["y"].errors for size in (8, 1))
    assert whole == parts
    assert sum(whole) == original.size
    (full,) = np.flatnonzero(whole)
    assert ERROR_EDGES[full] - 0.1 <= -2 <= ERROR_EDGES[full + 1] + 0.1


def test_errors_beyond_the_bins_are_in_the_outermost() -> None:
    original = np.array([[1.0, -1.0, 1.0, -1.0]])
    found = Fidelities(errors=True)
    found.add({"y": original}, {"y": original + np.array([[0.0, 1e-12, 1e4, 1e30]])})
    errors = found.found()["y"].errors
    assert (errors[0], errors[-1], sum(errors)) == (2, 2, 4)


def test_errors_are_not_gathered_unasked() -> None:
    found = Fidelities()
    found.add({"y": np.ones((2, 2))}, {"y": np.ones((2, 2))})
    assert found.found()["y"].errors == ()
