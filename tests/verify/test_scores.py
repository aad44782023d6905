"""Which output holds scores, and what they say."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from onnxprune.errors import UsageError
from onnxprune.verify.scores import Outputs, choices, paired_scores, right
from tests.texts import f32

SCORES = f32([[1, 3, 2], [5, 5, 4], [0, np.nan, 9]])


def test_top_1_and_top_2() -> None:
    assert right(SCORES, np.array([1, 0, 2]), 1).tolist() == [True, True, False]
    assert right(SCORES, np.array([2, 1, 0]), 1).tolist() == [False, False, False]
    assert right(SCORES, np.array([2, 1, 0]), 2).tolist() == [True, True, False]
    assert right(SCORES, np.array([0, 2, 1]), 2).tolist() == [False, False, False]


def test_top_k_is_what_sorting_says() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (200, 7)).astype(np.float32)  # with many ties
    labels = rng.integers(0, 7, 200)
    for k in (1, 3, 5):
        top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        assert np.array_equal(right(scores, labels, k), (top == labels[:, None]).any(axis=1))


def test_the_choice_is_the_first_largest_number() -> None:
    assert choices(SCORES).tolist() == [1, 0, -1]


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_labels_of_several_forms(shape: tuple[int, ...], dtype: Any) -> None:
    labels = np.array([1, 0, 2], dtype).reshape(shape)
    assert right(SCORES, labels, 1).tolist() == [True, True, False]


def test_a_label_for_each_token() -> None:
    scores = f32([[[0, 1], [1, 0]], [[0, 1], [0, 1]]])
    assert right(scores, np.array([[1, 0], [0, 1]]), 1).tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([1, 0]), "the labels do not fit the scores"),
        (np.eye(3, dtype=np.int64), "the labels do not fit the scores"),
        (f32([1, 0, 2]), "the labels do not fit the scores"),
        (np.array([1, 0, 3]), "a label is no class"),
        (np.array([1, 0, -1]), "a label is no class"),
    ],
)
def test_labels_that_do_not_fit(labels: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        right(SCORES, labels, 1)


def test_too_few_classes() -> None:
    with pytest.raises(UsageError, match="of 3 scores, the top 5 are always right"):
        right(SCORES, np.array([1, 0, 2]), 5)


OUTPUTS: Outputs = {"probs": f32([[1, 2]]), "label": np.array([[1]]), "loss": f32([3])}


def test_the_only_output_that_can_hold_scores() -> None:
    first, second = paired_scores(OUTPUTS, {**OUTPUTS, "probs": f32([[2, 1]])}, None)
    assert (first.tolist(), second.tolist()) == ([[1, 2]], [[2, 1]])
    assert paired_scores(OUTPUTS, OUTPUTS, "loss")[0].tolist() == [3]


def test_small_floats_are_widened() -> None:
    outputs = {"y": np.ones((1, 2), ml_dtypes.bfloat16)}
    assert paired_scores(outputs, outputs, None)[0].dtype == np.float32


@pytest.mark.parametrize(
    ("outputs", "name", "told"),
    [
        ({"a": f32([[1]]), "b": f32([[1]])}, None, "are ['a', 'b']"),
        ({"label": np.array([[1]]), "loss": f32([3])}, None, "are none"),
        (OUTPUTS, "prob", "did you mean 'probs'?"),
        (OUTPUTS, "zzz", "its outputs are 'probs', 'label', 'loss'"),
        (OUTPUTS, "label", "it is int64 [1, 1]"),
        ({"y": np.array(1.0)}, "y", "it is float64 []"),
    ],
)
def test_no_such_scores(outputs: Outputs, name: str | None, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        paired_scores(outputs, outputs, name)
    assert told in caught.value.render()


@pytest.mark.parametrize(
    ("pruned", "told"),
    [
        ({"y": f32([[1, 2, 3]])}, "[1, 2], the pruned model [1, 3]"),
        ({}, "the pruned model nothing"),
    ],
)
def test_models_of_different_outputs(pruned: Outputs, told: str) -> None:
    with pytest.raises(UsageError, match="do not have the same output") as caught:
        paired_scores({"y": f32([[1, 2]])}, pruned, None)
    assert told in caught.value.why
