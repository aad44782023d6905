"""What a removal keeps of the masked reference's tensors, to compare it with the pruned model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keep, axis_mask, is_touched, ragged_rows
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.exposure import ABSENT

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """What is kept along one axis: indices ``[k]``, or ``[by, k]`` for each index of axis `by`."""

    axis: int
    indices: npt.NDArray[np.intp]
    by: int | None = None

    def of(self, array: Array) -> Array:
        """The part of an array that is kept."""
        if self.by is None:
            return np.take(array, self.indices, axis=self.axis)
        shape = [1] * array.ndim
        shape[self.by], shape[self.axis] = self.indices.shape
        table = self.indices if self.by < self.axis else self.indices.T
        return np.take_along_axis(array, table.reshape(shape), axis=self.axis)


def axes_taken(
    analysis: Analysis, name: str, keeps: Mapping[Dim, Keep], stacked: int
) -> list[Taken]:
    """What is kept of each axis, ragged ones first; behind `stacked` axes that loops put in front.

    Args:
        analysis: of the model before removal.
        name: a value.
        keeps: what stays of each leaf.
        stacked: number of leading axes that the analysed value does not have.
    """
    value = analysis.values.get(name)
    if value is None:
        return []
    ragged = ragged_rows(value.dims, keeps)
    taken: list[Taken] = []
    for axis, rows in ragged.items():
        table = np.stack([np.flatnonzero(row) for row in rows.masks])
        by = value.shape[rows.by] // len(table)
        taken.append(Taken(axis + stacked, np.repeat(table, by, axis=0), rows.by + stacked))
    for axis, dim in enumerate(value.dims):
        if axis not in ragged and is_touched(dim, keeps):
            taken.append(Taken(axis + stacked, np.flatnonzero(axis_mask(dim, keeps))))
    return taken


def take(array: Array, taken: Sequence[Taken]) -> Array:
    """Take what is kept; what stands for a value of a branch that did not run stays as it is."""
    for part in taken if array.shape != ABSENT else ():
        array = part.of(array)
    return array
