"""Slicing: from keep masks to a smaller model.

Every constant is compressed along its axes, every node's attributes and shape constants follow
their operator's rewrite, and what the file says of intermediate shapes is corrected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keep, axis_mask, is_touched, kept_size
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
    ragged: list[tuple[int, Keep]] = []
    for axis, dim in enumerate(value.dims):
        keep = keeps.get(dim.root)
        if keep is not None and keep.over is not None:
            ragged.append((axis, keep))
    for axis, keep in ragged:
        array = _take_blocks(array, axis, keep, _block_axis(value, axis, keep))
    done = {axis for axis, _ in ragged}
    for axis, dim in enumerate(value.dims):
        if axis not in done and is_touched(dim, keeps):
            array = np.compress(axis_mask(dim, keeps), array, axis=axis)
    return array


def _block_axis(value: Value, axis: int, keep: Keep) -> int:
    """The axis whose blocks decide what stays on a ragged `axis`: its outermost factor is `g`."""
    for place, dim in enumerate(value.dims):
        if place != axis and keep.over is not None and dim.root.walk_factors()[0] is keep.over.root:
            return place
    raise ValueError(f"{value.name}: axis {axis} is ragged over a dim that no other axis carries")


def _take_blocks(array: npt.NDArray[Any], axis: int, keep: Keep, by: int) -> npt.NDArray[Any]:
    blocks = np.split(array, keep.mask.shape[0], axis=by)
    kept = [
        np.compress(row, block, axis=axis) for row, block in zip(keep.mask, blocks, strict=True)
    ]
    return np.concatenate(kept, axis=by)


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
