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


def with_sums(
    model: Model, wanted: Collection[Axis], ranks: Mapping[str, int], elem_types: dict[str, int]
) -> tuple[Model, dict[Axis, list[str]]]:
    """A model whose outputs are sums over all other axes.

    Args:
        model: the model; it stays as it is.
        wanted: activations and axes of them.
        ranks: number of axes by activation.
        elem_types: onnx element types by name.

    Returns:
        The model; and for each axis the names of its outputs: the number of elements of the
        activation, then the sums of its values, of their absolute values, of their squares, and of
        how many are zero.
    """

    def sums(builder: ProbeBuilder, x: str, elem_type: int, rank: int, axis: int) -> list[str]:
        others = [place for place in range(rank) if place != axis]
        return _sums(builder, x, elem_type, others)

    return _with(sums, model, wanted, ranks, elem_types)


def with_moments(
    model: Model, wanted: Collection[Axis], ranks: Mapping[str, int], elem_types: dict[str, int]
) -> tuple[Model, dict[Axis, list[str]]]:
    """A model whose outputs are second moments along axes, summed over all others.

    Args:
        model: the model; it stays as it is.
        wanted: activations and axes of them.
        ranks: number of axes by activation.
        elem_types: onnx element types by name.

    Returns:
        The model; and for each axis, of n indices, the names of its outputs: the number of elements
        of the activation, and the sums of the products of any two indices, ``[n, n]``.
    """

    def moments(builder: ProbeBuilder, x: str, elem_type: int, rank: int, axis: int) -> list[str]:
        size = builder.node("Size", x)
        if elem_type != _FLOAT:
            x = builder.node("Cast", x, to=_FLOAT)
        order = [axis, *(place for place in range(rank) if place != axis)]
        x = builder.node("Transpose", x, perm=order)
        rows = builder.node("Flatten", x, axis=1)
        columns = builder.node("Transpose", rows, perm=[1, 0])
        return [size, builder.node("MatMul", rows, columns)]

    return _with(moments, model, wanted, ranks, elem_types)


def _sums(builder: ProbeBuilder, x: str, elem_type: int, others: list[int]) -> list[str]:
    size = builder.node("Size", x)
    if elem_type != _FLOAT:
        x = builder.node("Cast", x, to=_FLOAT)
    distance = builder.node("Abs", x)
    above = builder.node("Greater", distance, builder.typed(_FLOAT).like(0.0))
    zeros = builder.node("Cast", builder.node("Not", above), to=_FLOAT)
    parts: tuple[str, ...] = (x, distance, builder.node("Mul", x, x), zeros)
    return [
        size,
        *(builder.reduce("ReduceSum", part, others) if others else part for part in parts),
    ]


def _with(
    add: Callable[[ProbeBuilder, str, int, int, int], list[str]],
    model: Model,
    wanted: Collection[Axis],
    ranks: Mapping[str, int],
    elem_types: dict[str, int],
) -> tuple[Model, dict[Axis, list[str]]]:
    """Add nodes behind each activation that is wanted; the first of their results counts."""
    builder = ProbeBuilder(model, elem_types)
    outputs: dict[Axis, list[str]] = {}
    by_name: dict[str, list[int]] = {}
    for name, axis in wanted:
        by_name.setdefault(name, []).append(axis)

    def add_behind(names: Iterable[str]) -> None:
        for name in names:
            for axis in by_name.get(name, ()):
                outputs[name, axis] = add(builder, name, elem_types[name], ranks[name], axis)

    add_behind(info.name for info in model.proto.graph.input)
    for place, (node, _) in enumerate(all_nodes(model.proto.graph)):
        builder.add(builder.source(place))
        add_behind(node.output)
    types = {name: _FLOAT for names in outputs.values() for name in names[1:]}
    types.update((names[0], _INT64) for names in outputs.values())
    return with_outputs(builder.finish(), types, elem_types | types), outputs
