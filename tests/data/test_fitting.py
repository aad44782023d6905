"""Shapes and dtypes: what fits, what is converted, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from onnxprune.data.dataset import open_data
from onnxprune.data.declared import DeclaredInput
from onnxprune.errors import UsageError
from tests.data.sources import Array, X, declared


def opened(array: Array, spec: DeclaredInput = X[0]) -> Array:
    (batch,) = open_data(lambda: {spec.name: array}, [spec])
    return batch.feeds[spec.name]


def refused(array: Array, spec: DeclaredInput = X[0]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        opened(array, spec)
    assert "array 'x'" in caught.value.where
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize("found", [np.float16, np.float32, np.float64, ">f4", ml_dtypes.bfloat16])
@pytest.mark.parametrize("wanted", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_floating_point_numbers_are_converted(found: Any, wanted: Any) -> None:
    array = np.array([[1, np.inf, np.nan]], found)
    result = opened(array, declared("x", "N", 3, dtype=wanted))
    assert result.dtype == wanted
    assert np.array_equal(result.astype("f8"), array.astype("f8"), equal_nan=True)


def test_numbers_too_large_are_refused() -> None:
    error = refused(np.full((1, 3), 1e6), declared("x", "N", 3, dtype=np.float16))
    assert error.message == "a value is too large for the input's type, float16"
    error = refused(np.array([[5, 1 << 40]]), declared("x", "N", 2, dtype=np.int32))
    assert error.why == f"the values lie between 5 and {1 << 40}"


@pytest.mark.parametrize("found", [np.bool_, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("wanted", [np.int8, np.int32, np.uint64])
def test_integers_are_converted_if_they_fit(found: Any, wanted: Any) -> None:
    result = opened(np.array([[0, 1]], found), declared("x", "N", 2, dtype=wanted))
    assert (result.dtype, result.tolist()) == (wanted, [[0, 1]])


def test_strings_are_fed() -> None:
    result = opened(np.array([["a", "bc"]]), declared("x", "N", 2, dtype=object))
    assert (result.dtype.kind, result.tolist()) == ("O", [["a", "bc"]])


def test_images_of_bytes_are_refused_with_a_hint() -> None:
    error = refused(np.zeros((4, 3), np.uint8))
    assert error.message == "the array does not fit input 'x'"
    assert error.why == "expected float32 [n, 3], or one sample without n; found uint8 [4, 3]"
    assert "preprocess the images as in training" in error.hint


@pytest.mark.parametrize(
    ("found", "wanted", "hint"),
    [
        (np.int64, np.float32, "convert it to float32"),
        (np.bool_, np.float32, "convert it to float32"),
        (np.float32, np.int64, "convert it to int64"),
        (np.int64, np.bool_, "convert it to bool"),
        (np.int64, object, "convert it to strings"),
    ],
)
def test_other_types_are_refused(found: Any, wanted: Any, hint: str) -> None:
    assert refused(np.ones((2, 3), found), declared("x", "N", 3, dtype=wanted)).hint == hint


IMAGE = declared("x", "N", 3, 8, None)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 8, 8, 3), "another order"),
        ((8, 8, 3), "another order"),
        ((2, 1, 8, 8), "preprocess it to the model's shape"),
        ((2, 2, 3, 8, 8), "batch=None"),
        ((9,), "if it holds the labels"),
    ],
)
def test_other_shapes_are_refused(shape: tuple[int, ...], hint: str) -> None:
    error = refused(np.zeros(shape, np.float32), IMAGE)
    assert error.why == (
        f"expected float32 [n, 3, 8, ?], or one sample without n; found float32 {list(shape)}"
    )
    assert hint in error.hint


def test_dynamic_axes_take_any_size_and_part_the_batches() -> None:
    widths = (4, 4, 5, 4)
    items = [{"x": np.zeros((3, 8, width), np.float32)} for width in widths]
    batches = list(open_data(lambda: items, [IMAGE]))
    assert [batch.feeds["x"].shape for batch in batches] == [
        (2, 3, 8, 4),
        (1, 3, 8, 5),
        (1, 3, 8, 4),
    ]


def test_one_sample_needs_no_leading_axis(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.ones(3, np.float32), y=7)
    (batch,) = open_data(tmp_path / "d.npz", X, labels="y")
    assert batch.feeds["x"].shape == (1, 3)
    assert batch.labels is not None
    assert batch.labels.tolist() == [7]
