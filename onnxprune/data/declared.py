"""What a model declares about its inputs, dynamic axes included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxprune.errors import UsageError
from onnxprune.ir.bindings import graph_inputs
from onnxprune.ir.elements import dtype_of
from onnxprune.ir.model import Model

Axis = int | str | None
"""A size, the name of a dynamic one, or nothing."""


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """One input of a model, as the model declares it.

    Attributes:
        name: its name.
        dtype: numpy dtype.
        shape: a size, or the name of a dynamic one, or None, for each axis.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Axis, ...]


def declared_inputs(
    model: Model, given: Mapping[str, tuple[int, ...]] | None = None
) -> tuple[DeclaredInput, ...]:
    """The inputs that a user feeds, in graph order.

    Args:
        model: the model.
        given: shapes of inputs that the model declares none for.

    Raises:
        UsageError: an input is no tensor, or nobody knows its shape.
    """
    return tuple(_declared(info, given or {}) for info in graph_inputs(model.proto))


def _declared(info: Any, given: Mapping[str, tuple[int, ...]]) -> DeclaredInput:
    if not info.type.HasField("tensor_type"):
        raise UsageError(f"input {info.name!r} is no tensor: data cannot feed it")
    tensor = info.type.tensor_type
    shape: tuple[Axis, ...] | None = given.get(info.name)
    if tensor.HasField("shape"):
        shape = tuple(
            dim.dim_value
            if dim.HasField("dim_value") and dim.dim_value >= 0
            else dim.dim_param or None
            for dim in tensor.shape.dim
        )
    if shape is None:
        raise UsageError(
            f"input {info.name!r} has no declared shape", hint="give its shape with the data"
        )
    return DeclaredInput(info.name, dtype_of(tensor.elem_type), shape)


def leading_axis(inputs: Iterable[DeclaredInput]) -> Axis:
    """The leading axis if it runs over samples: all inputs have it, not all are mere rows.

    Returns:
        Its size if that is fixed, otherwise a name for it; None if the inputs have none in common,
        so that only whole feeds can be told apart.
    """
    shapes = [declared.shape for declared in inputs]
    if not all(shapes) or all(len(shape) == 1 for shape in shapes):
        return None
    leading = {shape[0] for shape in shapes}
    named = leading - {None}
    if len(named) > 1 or (None in leading and any(isinstance(size, int) for size in named)):
        return None
    return next(iter(named), "batch")


def shown(dtype: np.dtype[Any], shape: Iterable[Axis]) -> str:
    """A type with a shape, for messages: ``float32 [n, 3, ?, ?]``."""
    return f"{dtype.name} [{', '.join('?' if axis is None else str(axis) for axis in shape)}]"
