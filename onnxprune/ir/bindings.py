"""Sizes for dynamic input axes.

To align a Reshape, shapes must be concrete: every dynamic axis is bound to a size of its own that
a model is likely to accept. A second binding tells which elements of a computed shape are static
(equal under both), and leading axes apart, which have one size under the first: most are the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count

import onnx

from onnxprune.errors import UsageError, suggestion

Shape = tuple[int, ...]
Axis = onnx.TensorShapeProto.Dimension
_BATCH = (2, 3)
_IMAGE = (range(160, 1000, 64), range(192, 1000, 64))
TRIPS = (5, 7)
"""How often loops run, under each binding, that end when the data say so."""
_SEQUENCE = ((17, 19, 23, 29, 53, 59, 67, 73, 83), (31, 37, 41, 43, 61, 71, 79, 89, 97))


def graph_inputs(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a user feeds: initializers that are inputs too (IR 3) are left out."""
    initial = {tensor.name for tensor in proto.graph.initializer}
    initial |= {sparse.values.name for sparse in proto.graph.sparse_initializer}
    return [info for info in proto.graph.input if info.name not in initial]


def input_shapes(
    proto: onnx.ModelProto,
    fixed: Mapping[str, Shape] | None = None,
    variant: int = 0,
    tied: Mapping[str, Shape] | None = None,
    *,
    apart: bool = True,
) -> dict[str, Shape]:
    """Concrete shapes of the graph inputs.

    Args:
        proto: the model.
        fixed: shapes given by the user, by input name.
        variant: 0 or 1, for two bindings that differ in every dynamic axis.
        tied: shapes of some inputs under another binding, that of the user; axes that have one
            size there, and no names that tell them apart, have one size here.
        apart: whether leading axes of different names differ under the second binding.

    Raises:
        UsageError: `fixed` names no input, or contradicts its declared shape.
    """
    fixed = dict(fixed or {})
    inputs = {info.name: info for info in graph_inputs(proto)}
    for name in fixed.keys() - inputs.keys():
        raise UsageError(
            f"the model has no input {name!r}",
            where="--input-shape",
            hint=suggestion(name, inputs) or f"its inputs are {', '.join(map(repr, inputs))}",
        )
    ties = {name: shape for name, shape in (tied or {}).items() if name in inputs}
    sizes: dict[str, int] = {}
    for name, shape in fixed.items():
        if _has_shape(inputs[name]):
            _check(name, list(inputs[name].type.tensor_type.shape.dim), shape, sizes)
    shapes = dict(fixed)
    for name, info in inputs.items():
        if name not in fixed and _has_shape(info):
            dims = list(info.type.tensor_type.shape.dim)
            shapes[name] = _bound(dims, _labels(name, dims, ties), sizes, variant, apart)
    return {name: shapes[name] for name in inputs if name in shapes}


def _has_shape(info: onnx.ValueInfoProto) -> bool:
    return info.type.HasField("tensor_type") and info.type.tensor_type.HasField("shape")


def _labels(name: str, dims: Sequence[Axis], ties: Mapping[str, Shape]) -> list[str]:
    """What the dynamic axes of an input are called; those of one label have one size."""
    sizes = ties.get(name, ())
    return [
        dim.dim_param or (f"={sizes[axis]}" if axis < len(sizes) else f"{name}.{axis}")
        for axis, dim in enumerate(dims)
    ]


def _bound(
    dims: Sequence[Axis], labels: Sequence[str], sizes: dict[str, int], variant: int, apart: bool
) -> Shape:
    """Bind the axes of one input; axes of one label get one size."""
    shape: list[int] = []
    for axis, (dim, label) in enumerate(zip(dims, labels, strict=True)):
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            shape.append(dim.dim_value)
        else:
            alike = axis == 0 and not (variant and apart)
            fresh = _BATCH[variant] if alike else _fresh(axis, len(dims), sizes.values(), variant)
            shape.append(sizes.setdefault(label, fresh))
    return tuple(shape)


def bind(proto: onnx.ModelProto, shapes: Mapping[str, Shape]) -> None:
    """Declare the inputs of a model with the given shapes."""
    for info in graph_inputs(proto):
        dims = info.type.tensor_type.shape.dim
        for dim, size in zip(dims, shapes.get(info.name, ()), strict=False):
            dim.dim_value = size


def has_dynamic_axes(proto: onnx.ModelProto) -> bool:
    """Whether any input axis has no fixed size."""
    return input_shapes(proto, None, 0) != input_shapes(proto, None, 1)


def _fresh(axis: int, rank: int, taken: Collection[int], variant: int) -> int:
    if axis == 0:
        return next(size for size in count(_BATCH[variant]) if size not in taken)
    table = _IMAGE[variant] if rank >= 4 else _SEQUENCE[variant]
    return table[len(taken) % len(table)]


def _check(name: str, declared: Sequence[Axis], shape: Shape, sizes: dict[str, int]) -> None:
    clash = len(declared) != len(shape) or any(
        dim.HasField("dim_value") and dim.dim_value >= 0 and dim.dim_value != size
        for dim, size in zip(declared, shape, strict=False)
    )
    if clash:
        shown = ",".join(str(d.dim_value or d.dim_param or "?") for d in declared)
        raise UsageError(
            f"input {name!r} is declared as [{shown}], not as {list(shape)}",
            where="--input-shape",
        )
    for dim, size in zip(declared, shape, strict=True):
        if dim.dim_param:
            sizes[dim.dim_param] = size
