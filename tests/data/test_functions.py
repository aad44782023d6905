"""Data that a function yields."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from onnxprune.data.dataset import open_data
from onnxprune.errors import UsageError
from tests.data.sources import X, numbers


def samples() -> Iterator[dict[str, Any]]:
    for number in range(7):
        yield {"x": np.full(3, number, np.float32), "y": number}


def stacks() -> Iterator[dict[str, Any]]:
    shared = np.zeros((3, 3), np.float32)
    for number in range(3):
        shared[:] = number  # as loaders do that save memory
        yield {"x": shared, "y": [number] * 3}


def test_samples_make_batches_again_and_again() -> None:
    data = open_data(samples, X, batch=3, labels="y")
    assert data.source == "samples"
    assert data.samples is None
    assert numbers(data) == numbers(data) == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.labels.tolist() for b in data if b.labels is not None][-1] == [6]


def test_stacks_are_cut_into_batches() -> None:
    assert numbers(open_data(stacks, X, batch=4)) == [[0, 0, 0, 1], [1, 1, 2, 2], [2]]
    assert numbers(open_data(stacks, X, batch=9, limit=None)) == [[0, 0, 0, 1, 1, 1, 2, 2, 2]]
    assert numbers(open_data(stacks, X, batch=2, limit=5)) == [[0, 0], [0, 1], [1]]


def test_an_endless_function_is_left_alone_at_the_limit() -> None:
    data = open_data(lambda: ({"x": np.full(3, n)} for n in map(float, count())), X, limit=4)
    assert numbers(data) == [[0, 1, 2, 3]]


def test_what_is_like_a_dict_of_arrays_is_taken() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.ones((2, 3), np.float32)

    (batch,) = open_data(lambda: [UserDict(x=Tensor(), note=object())], X)
    assert batch.feeds["x"].tolist() == [[1, 1, 1]] * 2
    assert numbers(open_data(lambda: {"x": [[5.0, 5.0, 5.0]]}, X)) == [[5]]


def refused(items: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        list(open_data(lambda: items, X))
    assert "lambda" in caught.value.where
    return caught.value


@pytest.mark.parametrize("item", [np.zeros((1, 3)), (np.zeros(3), 1), "x", None])
def test_items_that_are_no_dicts_are_refused(item: Any) -> None:
    error = refused([{"x": np.zeros((1, 3))}, item])
    assert error.message == "the function does not yield dicts of arrays"
    assert error.where.endswith(", item 1")
    assert error.why == f"it is of type {type(item).__name__}"


def test_values_that_are_no_arrays_are_refused() -> None:
    error = refused([{"x": [[1.0], [2.0, 3.0]]}])
    assert error.message == "this is no array"
    assert error.where.endswith("item 0, array 'x'")
    assert refused([{"x": object()}]).why.endswith("found object []")


def test_what_does_not_fit_is_refused() -> None:
    assert refused([{"x": np.zeros((1, 4), np.float32)}]).why.endswith("found float32 [1, 4]")
    assert refused([{}]).message == "the data has no array for input 'x'"


def test_functions_that_yield_nothing_are_refused() -> None:
    error = refused(None)
    assert error.message == "the function yields nothing"
    assert error.why == "it returned an object of type NoneType"
    assert refused([]).message == "the data holds no samples"


def test_an_iterator_that_is_used_up_holds_no_samples() -> None:
    spent = iter([{"x": np.zeros((1, 3))}])
    data = open_data(lambda: spent, X)
    assert numbers(data) == [[0]]
    with pytest.raises(UsageError, match="holds no samples"):
        list(data)
