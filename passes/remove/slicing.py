"""Slicing: from keep masks to a smaller model.

Every constant is compressed along its axes, every node's attributes and shape constants follow
their operator's rewrite, and what the file says of intermediate shapes is corrected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keep, Rows, axis_mask, is_touched, kept_size, ragged_rows
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.edit import NodeEdit, edited
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor, Tensor
from onnxprune.ops.site import Value


def remove(analysis: Analysis, keeps: dict[Dim, Keep]) -> Model:
    """The model without the indices that `keeps` leaves out.

    Args:
        analysis: of the canonical model.
        keeps: keep masks by leaf.
    """
    canonical = analysis.canonical
    constants: dict[str, Tensor] = {}
    for name, tensor in canonical.model.constants.items():
        value = analysis.values.get(name)
        if value is not None and any(is_touched(dim, keeps) for dim in value.dims):
            constants[name] = SlicedTensor(tensor, value, keeps)
    edits: dict[int, NodeEdit] = {}
    for place, placed in enumerate(analysis.placed):
        operands = (*placed.site.inputs, *placed.site.outputs)
        if placed.operator is None or not _is_concerned(operands, keeps):
            continue
        rewrite = placed.operator.rewritten(placed.site, keeps)
        if rewrite.attributes or rewrite.inputs:
            edits[place] = NodeEdit(dict(rewrite.attributes), dict(rewrite.inputs))
    shapes = {
        name: {
            axis: kept_size(dim, keeps)
            for axis, dim in enumerate(value.dims)
            if is_touched(dim, keeps)
        }
        for name, value in analysis.values.items()
        if _is_concerned((value,), keeps)
    }
    return edited(canonical.model, constants, edits, shapes, canonical.partial)


def _is_concerned(values: tuple[Value | None, ...], keeps: dict[Dim, Keep]) -> bool:
    return any(
        is_touched(dim, keeps) for value in values if value is not None for dim in value.dims
    )


def take(array: npt.NDArray[Any], value: Value, keeps: dict[Dim, Keep]) -> npt.NDArray[Any]:
    """Compress an array along every axis of `value`; ragged axes are gathered block by block."""
    ragged = ragged_rows(value.dims, keeps)
    for axis, rows in ragged.items():
        array = _take_blocks(array, axis, rows)
    for axis, dim in enumerate(value.dims):
        if axis not in ragged and is_touched(dim, keeps):
            array = np.compress(axis_mask(dim, keeps), array, axis=axis)
    return array


def _take_blocks(array: npt.NDArray[Any], axis: int, rows: Rows) -> npt.NDArray[Any]:
    blocks = np.split(array, len(rows.masks), axis=rows.by)
    kept = [
        np.compress(row, block, axis=axis) for row, block in zip(rows.masks, blocks, strict=True)
    ]
    return np.concatenate(kept, axis=rows.by)


class SlicedTensor(Tensor):
    """A constant without the removed indices; sliced when it is read, so memory stays bounded."""

    def __init__(self, base: Tensor, value: Value, keeps: dict[Dim, Keep]) -> None:
        """Slice `base`, whose axes are those of `value`, lazily."""
        self._base = base
        self._value = value
        self._keeps = keeps
        self._shape = tuple(kept_size(dim, keeps) for dim in value.dims)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape after slicing."""
        return self._shape

    @property
    def elem_type(self) -> int:
        """Element type of the constant."""
        return self._base.elem_type

    def numpy(self) -> npt.NDArray[Any]:
        """Read and slice."""
        return np.ascontiguousarray(take(self._base.numpy(), self._value, self._keeps))

    def raw(self) -> bytes:
        """The sliced elements in the layout of ``raw_data``."""
        return ArrayTensor(self.numpy(), self.elem_type).raw()

    def fill(self, target: Any) -> None:
        """Write the sliced elements into a tensor message."""
        ArrayTensor(self.numpy(), self.elem_type).fill(target)
