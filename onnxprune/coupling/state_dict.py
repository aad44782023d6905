"""A plan applied to a framework's weights.

Exporters rename and transpose weights, so a tensor is found by its name and shape, else by equal
values (as it is, transposed, or with axes of size 1 added), and refused otherwise: a tensor that a
plan slices must not stay whole, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.axis_plan import AxisPlan, Blocks
from onnxprune.errors import PlanError, few
from onnxprune.ir.model import Model

Array = npt.NDArray[Any]
Kept = Mapping[str, Mapping[int, AxisPlan]]
"""What stays of each weight, by name and axis."""


def slice_state_dict(
    kept: Kept, state_dict: Mapping[str, Any], original: Model | None, *, strict: bool = True
) -> dict[str, Any]:
    """Slice the weights of a state dict as a plan says.

    Args:
        kept: what a plan keeps of each original initializer.
        state_dict: arrays or PyTorch tensors by name; they are not changed.
        original: the ONNX model that the plan was made for, to find weights by value.
        strict: whether tensors that cannot be placed are an error; if not they stay whole.

    Returns:
        A new dict with the same names; sliced tensors are of the same kind as before.

    Raises:
        PlanError: some weights of the plan were not found, or some tensors belong to none; the
            message names them.
    """
    result = dict(state_dict)
    free = {name: _array(tensor) for name, tensor in state_dict.items()}
    missing: list[str] = []
    for name, axes in kept.items():
        found = _by_name(name, axes, free, original) or _by_value(name, free, original)
        if found is None:
            missing.append(name)
            continue
        key, moved = found
        del free[key]
        result[key] = _sliced(state_dict[key], axes, moved)
    views = list(missing)
    for name in views:
        if _settle(name, missing, kept, free, result, original):
            missing.remove(name)
    if strict:
        _refuse(missing, _strangers(free, original))
    return result


def _settle(
    name: str,
    missing: list[str],
    kept: Kept,
    free: dict[str, Array],
    result: dict[str, Any],
    original: Model | None,
) -> bool:
    """Place a view of a shared vector that has no name of its own.

    Where several tensors have its values, all of them are sliced if all views are sliced alike.
    Where none is left, it is one tensor that is used in several places.
    """
    axes = kept[name]
    base = _base(name, original)
    if original is None or base not in original.constants:
        return False
    family = [other for other in missing if _base(other, original) == base]
    if any(kept[other] != axes for other in family):
        return False
    wanted = original.constants[base].numpy()
    equal = {key: _layout(wanted, array) for key, array in free.items()}
    answers = {key: moved for key, moved in equal.items() if moved is not None}
    for key, moved in answers.items():
        result[key] = _sliced(result[key], axes, moved)
        del free[key]
    relatives = [other for other in kept if _base(other, original) == base]
    placed = any(other not in missing for other in relatives)
    return bool(answers) or (placed and all(kept[other] == axes for other in relatives))


def _strangers(free: Mapping[str, Array], original: Model | None) -> list[str]:
    """Tensors that no constant of the model corresponds to, so nobody knows how to slice them."""
    if original is None:
        return []
    known = [tensor for tensor in original.constants.values() if tensor.size > 1]
    shapes = {name: tensor.shape for name, tensor in original.constants.items()}
    strangers: list[str] = []
    for key, array in free.items():
        if array.dtype.kind != "f" or array.size < 2 or shapes.get(key) == array.shape:
            continue
        same_size = (tensor for tensor in known if tensor.size == array.size)
        if all(_layout(tensor.numpy(), array) is None for tensor in same_size):
            strangers.append(key)
    return strangers


def _refuse(missing: list[str], strangers: list[str]) -> None:
    if not missing and not strangers:
        return
    parts: list[str] = []
    if missing:
        parts.append(f"weights of the plan without counterpart: {few(missing, 20)}")
    if strangers:
        parts.append(
            f"tensors of the state dict that the model does not have: {few(strangers, 20)}"
        )
    raise PlanError(
        "the plan cannot be carried over to the state dict as a whole",
        where="; ".join(parts),
        why="no name and shape matches, and no values are equal",
        hint="exporters fold BatchNormalization and weight norms into layers: export the model "
        "with its weights unchanged (training=TrainingMode.PRESERVE), or pass strict=False",
    )


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


def _base(name: str, original: Model | None) -> str:
    """The initializer that a view of a shared vector, ``NAME::2``, is a view of."""
    view = original is not None and name not in original.constants and "::" in name
    return name.rpartition("::")[0] if view else name


def _shape(name: str, original: Model | None) -> tuple[int, ...] | None:
    if original is None or name not in original.constants:
        return None
    return original.constants[name].shape


def _by_value(
    name: str, arrays: Mapping[str, Array], original: Model | None
) -> tuple[str, dict[int, int]] | None:
    """The one tensor with equal values; None where there is none, or more than one."""
    base = _base(name, original)
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


def _sliced(tensor: Any, axes: Mapping[int, AxisPlan], moved: Mapping[int, int]) -> Any:
    """Slice a tensor whose axes are `moved` against those of the plan."""
    for axis, kept in axes.items():
        if isinstance(kept, Blocks):
            tensor = _slice_blocks(tensor, moved[axis], moved[kept.by], kept)
    for axis, kept in axes.items():
        if not isinstance(kept, Blocks):
            tensor = tensor[(slice(None),) * moved[axis] + (list(kept),)]
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
