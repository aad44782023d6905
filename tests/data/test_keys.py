"""Which array is which input."""

from __future__ import annotations

import pytest

from onnxprune.data.keys import match_keys
from onnxprune.errors import UsageError


def test_by_name_whatever_else_there_is() -> None:
    assert match_keys(["id", "b", "a"], ["a", "b"], None, "d") == {"a": "a", "b": "b"}


def test_one_input_takes_the_only_array_that_is_not_the_labels() -> None:
    assert match_keys(["images"], ["x"], None, "d") == {"x": "images"}
    assert match_keys(["images", "y"], ["x"], "y", "d") == {"x": "images"}


def refused(keys: list[str], inputs: list[str], labels: str | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        match_keys(keys, inputs, labels, "d.npz")
    assert caught.value.where == "d.npz"
    return caught.value


def test_a_near_name_is_suggested() -> None:
    error = refused(["input_id", "mask"], ["input_ids", "mask"])
    assert error.message == "the data has no array for input 'input_ids'"
    assert error.why == "it holds 'input_id'"
    assert error.hint == "did you mean 'input_id'?"


def test_two_candidates_for_one_input_are_named() -> None:
    error = refused(["images", "targets"], ["x"])
    assert error.why == "it holds 'images', 'targets'"
    assert error.hint == "name it 'x', or say which array holds the labels (--labels)"


def test_labels_that_are_not_there_are_refused() -> None:
    error = refused(["x", "label"], ["x"], "labels")
    assert error.message == "the data has no array for the labels 'labels'"
    assert error.hint == "did you mean 'label'?"
    assert refused(["x", "y"], ["x"], "t").hint == "name the array that holds the labels (--labels)"


def test_no_array_is_left_for_the_last_input() -> None:
    error = refused(["a"], ["a", "b"])
    assert error.why == "it holds nothing else"
    assert error.hint == "name the arrays like the inputs of the model"
