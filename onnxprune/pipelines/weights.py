"""Weights from elsewhere, written into a model by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.errors import UsageError, few, suggestion
from onnxprune.ir.elements import is_float_dtype, is_float_type
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import made_dense
from onnxprune.ir.tensors import ArrayTensor, Tensor


@dataclass(frozen=True, slots=True)
class Imported:
    """A model with weights from elsewhere.

    Attributes:
        model: the model.
        written: names of the weights that were written.
        kept: floating-point weights of the model that nothing was given for.
        unused: arrays of floating-point numbers that the model has no weight for. Exporters merge
            equal weights: one that is equal to another one is none of these.
    """

    model: Model
    written: tuple[str, ...]
    kept: tuple[str, ...]
    unused: tuple[str, ...]


def import_weights(
    model: Model,
    arrays: Mapping[str, Any],
    *,
    names: Mapping[str, str] | None = None,
    strict: bool = True,
) -> Imported:
    """Write arrays into the weights of their names.

    Args:
        model: the model; it is left as it is. What it holds sparsely is dense afterwards.
        arrays: numpy arrays or PyTorch tensors by name, such as a state dict. Integers, such as
            counters, are passed over.
        names: for weights of the model that are called otherwise, the array by weight, such as
            ``{"a.bias::2": "b.bias"}`` where an exporter merged vectors that were equal.
        strict: whether it is an error if a weight is not given, or an array is not used.

    Raises:
        UsageError: an array has another shape than the weight of its name, or holds what is no
            number; or, if strict, names do not match.
    """
    model = made_dense(model)
    given = {name: _array(value) for name, value in arrays.items()}
    for name, source in (names or {}).items():
        if name not in model.constants or source not in given:
            missing = name not in model.constants
            what = f"weight {name!r}" if missing else f"array {source!r}"
            hint = suggestion(name, model.constants) if missing else suggestion(source, given)
            raise UsageError(f"there is no {what}", where=f"{name}={source}", hint=hint)
        given[name] = given.pop(source)
    floats = {name: array for name, array in given.items() if is_float_dtype(array.dtype)}
    weights = {n: t for n, t in model.constants.items() if is_float_type(t.elem_type)}
    written = [name for name in weights if name in floats]
    tensors = {name: _fitting(name, floats[name], weights[name]) for name in written}
    kept = [name for name, tensor in weights.items() if name not in floats and tensor.size > 1]
    unused = [
        name
        for name, array in floats.items()
        if name not in weights and not any(_same(array, floats[other]) for other in written)
    ]
    if not written or (strict and (kept or unused)):
        parts = (("not given", kept), ("not in the model", unused))
        raise UsageError(
            "the names of the weights do not match",
            where="; ".join(f"{what}: {few(names)}" for what, names in parts if names),
            hint="export the network with the names of its weights (training="
            "TrainingMode.PRESERVE, do_constant_folding=False)"
            + (", or say --partial" if strict else ""),
        )
    model.set_constants(tensors)
    return Imported(model, tuple(written), tuple(kept), tuple(unused))


def _fitting(name: str, array: npt.NDArray[Any], weight: Tensor) -> Tensor:
    if array.shape != weight.shape:
        raise UsageError(
            f"the array for {name!r} has another shape",
            where=name,
            why=f"it is {list(array.shape)}, the model has {list(weight.shape)}",
            hint="give the weights of the pruned network (plan.apply_to_state_dict slices others)",
        )
    if not np.isfinite(array).all():
        raise UsageError(f"the array for {name!r} holds values that are not finite", where=name)
    return ArrayTensor(np.ascontiguousarray(array.astype(weight.dtype)), weight.elem_type)


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return one.shape == other.shape and bool(np.array_equal(one, other))


def _array(value: Any) -> npt.NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu().float().numpy() if value.is_floating_point() else value.numpy()
    return np.asarray(value)
