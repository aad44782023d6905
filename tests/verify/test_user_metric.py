"""Metrics that users write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxprune.errors import UsageError
from onnxprune.verify.evaluation import metric_of
from onnxprune.verify.metrics import Score
from tests.texts import f32

FIRST, SECOND = f32([[1], [2], [3]]), f32([[1], [4], [9]])


def judged(function: Any, batches: tuple[slice, ...] = (slice(0, 2), slice(2, 3))) -> Score:
    metric = metric_of(function)
    for rows in batches:
        size = len(FIRST[rows])
        metric.add({"y": FIRST[rows]}, {"y": SECOND[rows]}, np.zeros(size), size)
    return metric.score(3)


def each(outputs: Any, reference: Any, labels: Any) -> Any:
    return outputs["y"][:, 0]


def mean(outputs: Any, reference: Any, labels: Any) -> float:
    return float(outputs["y"].mean())


def error(outputs: Any, reference: Any, labels: Any) -> tuple[float, float]:
    squares = (outputs["y"] - reference["y"]) ** 2
    return float(squares.sum()), float((reference["y"] ** 2).sum())


def test_numbers_means_and_sums_are_exact_over_batches() -> None:
    for function in (each, mean):
        score = judged(function)
        assert score.pruned == pytest.approx(14 / 3)
        assert (score.metric, score.original, score.samples) == (function.__name__, 2, 3)
    assert judged(lambda *_: [1, 2][: len(_[2])]).pruned == pytest.approx(4 / 3)


def test_weighted_sums() -> None:
    score = judged(error)
    assert score.pruned == pytest.approx(40 / 14)
    assert score.original == 0


@pytest.mark.parametrize("made", [None, "good", [1, 2, 3, 4], (1, 2, 3), {"a": 1}, [[1], [2, 3]]])
def test_results_that_cannot_be_added(made: Any) -> None:
    with pytest.raises(UsageError, match="no numbers that can be added up") as caught:
        judged(lambda *_: made)
    assert caught.value.why == f"it returned {made!r} for 2 samples"
    assert "<lambda>" in caught.value.where


def test_weights_of_nothing() -> None:
    with pytest.raises(UsageError, match="sum up to 0"):
        judged(lambda *_: (1.0, 0.0))


def test_failures_name_the_line() -> None:
    with pytest.raises(UsageError) as caught:
        judged(lambda outputs, *_: outputs["z"])
    assert __file__ in caught.value.where
    assert caught.value.why == "KeyError: 'z'"
