"""Models' inputs, and data for them in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx.numpy_helper

from onnxprune.data.dataset import Dataset
from onnxprune.data.declared import Axis, DeclaredInput

Array = npt.NDArray[Any]


def declared(name: str, *shape: Axis, dtype: Any = np.float32) -> DeclaredInput:
    """An input."""
    return DeclaredInput(name, np.dtype(dtype), shape)


X = (declared("x", "N", 3),)
"""One input that takes any number of samples."""
XY = (declared("a", "N", 3), declared("b", "N", dtype=np.int64))
"""Two of them."""


def numbered(count: int, *shape: int, dtype: Any = np.float32) -> Array:
    """Samples that hold their own number."""
    numbers = np.arange(count, dtype=dtype).reshape(count, *(1 for _ in shape))
    return np.ascontiguousarray(np.broadcast_to(numbers, (count, *shape)))


def numbers(data: Dataset, name: str = "x") -> list[list[int]]:
    """The numbers of the samples, batch by batch."""
    return [batch.feeds[name].reshape(batch.size, -1)[:, 0].astype(int).tolist() for batch in data]


def all_numbers(data: Dataset) -> list[int]:
    """The numbers of all samples."""
    return [number for batch in numbers(data) for number in batch]


def save_set(folder: Path, arrays: Sequence[tuple[str, Array]]) -> None:
    """A test data set; names may be empty."""
    folder.mkdir(parents=True)
    for place, (name, array) in enumerate(arrays):
        content = onnx.numpy_helper.from_array(array, name).SerializeToString()
        (folder / f"input_{place}.pb").write_bytes(content)
