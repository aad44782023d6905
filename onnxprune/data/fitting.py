"""Whether an array fits an input, and its conversion to the input's type.

Floating-point numbers become those of the input, integers and truth values its integers, as long
as no value is lost. Integers do not become floating-point numbers: images of 8 bits have to be
scaled, and nobody but the user knows how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.data.declared import Axis, DeclaredInput, leading_axis, shown
from onnxprune.errors import UsageError
from onnxprune.ir.elements import is_float_dtype

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """How samples make up the feeds of a model.

    Attributes:
        inputs: what the model declares.
        labels: name of the array that holds the labels, if there are labels.
        size: samples of a batch.
        fixed: whether the model takes no other size.
        whole: whether a sample is a whole feed, without an axis for samples.
    """

    inputs: tuple[DeclaredInput, ...]
    labels: str | None
    size: int
    fixed: bool = False
    whole: bool = False

    @classmethod
    def of(cls, inputs: Sequence[DeclaredInput], labels: str | None, batch: int | None) -> Layout:
        """Read it off the inputs.

        Args:
            inputs: what the model declares.
            labels: name of the labels, if there are any.
            batch: samples of a batch where that is free; None for whole feeds.
        """
        leading = leading_axis(inputs) if batch is not None else None
        if batch is None or leading is None:
            return cls(tuple(inputs), labels, 1, whole=True)
        fixed = isinstance(leading, int)
        return cls(tuple(inputs), labels, leading if isinstance(leading, int) else batch, fixed)

    def sample(self, declared: DeclaredInput) -> tuple[Axis, ...]:
        """Shape of one sample of an input."""
        return declared.shape if self.whole else declared.shape[1:]

    def check(
        self, declared: DeclaredInput, dtype: np.dtype[Any], shape: Sequence[int], where: str
    ) -> bool:
        """Check an array against an input.

        Returns:
            Whether samples run along the array's leading axis; otherwise it is a single one.

        Raises:
            UsageError: it does not fit.
        """
        sample = self.sample(declared)
        stacked = len(shape) == len(sample) + 1
        found = tuple(shape)[1:] if stacked else tuple(shape)
        fits = len(found) == len(sample) and all(
            not isinstance(wanted, int) or size == wanted
            for size, wanted in zip(found, sample, strict=True)
        )
        if not fits or not _converts(dtype, declared.dtype):
            raise UsageError(
                f"the array does not fit input {declared.name!r}",
                where=where,
                why=f"expected {shown(declared.dtype, ('n', *sample))}, "
                f"or one sample without n; found {shown(dtype, shape)}",
                hint=_dtype_hint(dtype, declared.dtype) if fits else _shape_hint(found, sample),
            )
        return stacked


def converted(array: Array, dtype: np.dtype[Any], where: str) -> Array:
    """The array in another dtype.

    Raises:
        UsageError: a value has no place in it.
    """
    with np.errstate(over="ignore"):
        result = np.asarray(array.astype(dtype, copy=False))
    if dtype != array.dtype and not _same(result, array):
        raise UsageError(
            f"a value is too large for the input's type, {dtype.name}",
            where=where,
            why=f"the values lie between {array.min()} and {array.max()}",
            hint="check how the data was made",
        )
    return result


def _same(result: Array, array: Array) -> bool:
    """Whether integers are the same numbers, and floating-point numbers as finite as they were."""
    if array.dtype.kind in "biu":
        return np.array_equal(result, array)
    return not is_float_dtype(array.dtype) or np.array_equal(
        np.isfinite(result), np.isfinite(array)
    )


def _converts(found: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    return (
        found.newbyteorder("=") == wanted
        or (is_float_dtype(found) and is_float_dtype(wanted))
        or (found.kind in "biu" and wanted.kind in "iu")
        or (found.kind == "U" and wanted.kind == "O")
    )


def _dtype_hint(found: np.dtype[Any], wanted: np.dtype[Any]) -> str:
    if found == np.uint8 and is_float_dtype(wanted):
        return (
            "preprocess the images as in training (often x / 255, then mean and deviation) and "
            f"save them as {wanted.name}: their scale cannot be guessed"
        )
    return f"convert it to {'strings' if wanted.kind == 'O' else wanted.name}"


def _shape_hint(found: Sequence[int], sample: Sequence[Axis]) -> str:
    sizes = Counter(axis for axis in sample if isinstance(axis, int))
    if len(found) == len(sample) and sizes <= Counter(found):
        return "the axes are in another order: transpose the array"
    if len(found) == len(sample) + 2:
        return "stack samples along one axis only, or feed it whole: --batch none, or batch=None"
    labels = "; if it holds the labels, name it (--labels)" if len(found) < 2 else ""
    return f"preprocess it to the model's shape{labels}"
