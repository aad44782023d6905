"""Sums of activations, taken inside of the graph.

Of each activation only some numbers for each index of an axis come out, however large it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import onnx

from onnxprune.ir.graph import all_nodes
from onnxprune.ir.model import Model
from onnxprune.ir.probe import ProbeBuilder, with_outputs

Axis = tuple[str, int]
"""An activation of the main graph, and one of its axes."""
_FLOAT, _INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


Reduction = Callable[[ProbeBuilder, str, int, int], list[str]]
"""Adds nodes behind an activation, given its number of axes and the axis that stays; names their
results."""


def with_reduced(
    reduce: Reduction,
    model: Model,
    wanted: Collection[Axis],
    ranks: Mapping[str, int],
    elem_types: dict[str, int],
) -> tuple[Model, dict[Axis, list[str]]]:
    """A model whose outputs are what is left of activations.

    Args:
        reduce: `sums` or `moments`.
        model: the model; it stays as it is.
        wanted: activations and axes of them.
        ranks: number of axes by activation.
        elem_types: onnx element types by name.

    Returns:
        The model; and for each axis the names of its outputs: the number of elements of the
        activation, then what `reduce` makes of it.
    """
    builder = ProbeBuilder(model, elem_types)
    outputs: dict[Axis, list[str]] = {}
    by_name: dict[str, list[int]] = {}
    for name, axis in wanted:
        by_name.setdefault(name, []).append(axis)

    def add_behind(names: Iterable[str]) -> None:
        for name in names:
            for axis in by_name.get(name, ()):
                size, x = builder.node("Size", name), name
                if elem_types[name] != _FLOAT:
                    x = builder.node("Cast", x, to=_FLOAT)
                outputs[name, axis] = [size, *reduce(builder, x, ranks[name], axis)]

    add_behind(info.name for info in model.proto.graph.input)
    for place, (node, _) in enumerate(all_nodes(model.proto.graph)):
        builder.add(builder.source(place))
        add_behind(node.output)
    types = {name: _FLOAT for names in outputs.values() for name in names[1:]}
    types.update((names[0], _INT64) for names in outputs.values())
    return with_outputs(builder.finish(), types, elem_types | types), outputs


def sums(builder: ProbeBuilder, x: str, rank: int, axis: int) -> list[str]:
    """Sums over all other axes: of the values, their sizes, their squares, and of the zeros."""
    others = [place for place in range(rank) if place != axis]
    distance = builder.node("Abs", x)
    above = builder.node("Greater", distance, builder.typed(_FLOAT).like(0.0))
    zeros = builder.node("Cast", builder.node("Not", above), to=_FLOAT)
    parts = [x, distance, builder.node("Mul", x, x), zeros]
    return [builder.reduce("ReduceSum", part, others) for part in parts] if others else parts


def moments(builder: ProbeBuilder, x: str, rank: int, axis: int) -> list[str]:
    """Sums of the products of any two of the n indices, ``[n, n]``."""
    order = [axis, *(place for place in range(rank) if place != axis)]
    rows = builder.node("Flatten", builder.node("Transpose", x, perm=order), axis=1)
    columns = builder.node("Transpose", rows, perm=[1, 0])
    return [builder.node("MatMul", rows, columns)]
