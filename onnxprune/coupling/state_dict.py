"""A plan applied to a framework's weights.

Exporters rename and transpose weights, so a tensor is found by its name and shape, else by equal
values (as it is, transposed, or with axes of size 1 added), and refused otherwise: a tensor that a
plan slices must not stay whole, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.plan import AxisPlan, Blocks
from onnxprune.errors import PlanError
from onnxprune.ir.model import Model

if TYPE_CHECKING:
    from onnxprune.coupling.plan import Plan

Array = npt.NDArray[Any]


def slice_state_dict(
    plan: Plan, state_dict: Mapping[str, Any], original: Model | None, *, strict: bool = True
) -> dict[str, Any]:
    """Slice the weights of a state dict as a plan says.

    Args:
        plan: the plan.
        state_dict: arrays or PyTorch tensors by name; they are not changed.
        original: the ONNX model that the plan was made for, to find weights by value.
        strict: whether tensors that cannot be placed are an error; if not they stay whole.

    Returns:
        A new dict with the same names; sliced tensors are of the same kind as before.

    Raises:
        PlanError: some weights of the plan were not found; the message names them.
    """
    result = dict(state_dict)
    arrays = {name: _array(tensor) for name, tensor in state_dict.items()}
    free = dict(arrays)
    missing: list[str] = []
    for name, axes in plan.initializers.items():
        found = _by_name(name, axes, free, original) or _by_value(name, free, original)
        if found is None:
            missing.append(name)
            continue
        key, moved = found
        del free[key]
        result[key] = _slice(
            state_dict[key], {moved[axis]: kept for axis, kept in axes.items()}, moved
        )
    if missing and strict:
        raise PlanError(
            f"{len(missing)} weights of the plan have no counterpart in the state dict",
            where=", ".join(missing[:20]) + (" …" if len(missing) > 20 else ""),
            why="no tensor has the name and shape, and none has equal values",
            hint="exporters fold BatchNormalization into convolutions: export the model with its "
            "weights unchanged (training=TrainingMode.PRESERVE), or pass strict=False",
        )
    return result


def _array(tensor: Any) -> Array:
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().numpy()
    return np.asarray(tensor)


def _by_name(
    name: str, axes: Mapping[int, AxisPlan], arrays: Mapping[str, Array], original: Model | None
) -> tuple[str, dict[int, int]] | None:
    array = arrays.get(name)
    if array is None:
        return None
    shape = _shape(name, original)
    if shape is not None and array.shape != shape:
        return None
    if shape is None and any(axis >= array.ndim for axis in axes):
        return None
    return name, {axis: axis for axis in range(array.ndim)}


def _shape(name: str, original: Model | None) -> tuple[int, ...] | None:
    if original is None or name not in original.constants:
        return None
    return original.constants[name].shape


def _by_value(
    name: str, arrays: Mapping[str, Array], original: Model | None
) -> tuple[str, dict[int, int]] | None:
    """The one tensor with equal values; None where there is none, or more than one."""
    base = name.partition("::")[0] if original and name not in original.constants else name
    if original is None or base not in original.constants:
        return None
    wanted = original.constants[base].numpy()
    found: list[tuple[str, dict[int, int]]] = []
    for key, array in arrays.items():
        if array.size == wanted.size and (moved := _layout(wanted, array)) is not None:
            found.append((key, moved))
    return found[0] if len(found) == 1 else None


def _layout(wanted: Array, array: Array) -> dict[int, int] | None:
    """For each axis of `wanted`, the axis of `array` that holds it, if the values are equal."""
    if array.shape == wanted.shape and np.array_equal(array, wanted):
        return {axis: axis for axis in range(wanted.ndim)}
    mine = [axis for axis in range(wanted.ndim) if wanted.shape[axis] > 1]
    theirs = [axis for axis in range(array.ndim) if array.shape[axis] > 1]
    if len(mine) != len(theirs):
        return None
    for order in (theirs, theirs[::-1]):
        if [wanted.shape[a] for a in mine] != [array.shape[a] for a in order]:
            continue
        squeezed = np.squeeze(array)
        moved = squeezed if order == theirs else squeezed.T
        if np.array_equal(moved, np.squeeze(wanted)):
            return dict(zip(mine, order, strict=True))
    return None


def _slice(tensor: Any, axes: Mapping[int, AxisPlan], moved: Mapping[int, int]) -> Any:
    for axis, kept in axes.items():
        if isinstance(kept, Blocks):
            tensor = _slice_blocks(tensor, axis, moved[kept.by], kept)
    for axis, kept in axes.items():
        if not isinstance(kept, Blocks):
            tensor = tensor[(slice(None),) * axis + (list(kept),)]
    return tensor


def _slice_blocks(tensor: Any, axis: int, by: int, blocks: Blocks) -> Any:
    """Take from each block its own indices, through one index array of the block axis' length."""
    count = tensor.shape[by] // len(blocks.kept)
    rows = np.repeat(np.array(blocks.kept), count, axis=0)
    places = np.arange(int(tensor.shape[by]))[:, None]
    order = [by, axis] + [a for a in range(len(tensor.shape)) if a not in (by, axis)]
    permute = getattr(tensor, "permute", None) or tensor.transpose
    front = permute(*order)[places, rows]
    back = [order.index(a) for a in range(len(order))]
    return (getattr(front, "permute", None) or front.transpose)(*back)
