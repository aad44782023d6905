"""What the inputs of a model may hold, read off its graph."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from onnxprune.coupling.analysis import Analysis
from onnxprune.data.random import InputSpec
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.bindings import graph_inputs
from onnxprune.ir.graph import Node
from onnxprune.ir.tensors import dtype_of, type_names

_PASSES_VALUES = frozenset(
    [
        "Cast",
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ]
)
"""Operators that hand index values on as they are."""


_STEPS = {
    "Equal": (0, 1),
    "Greater": (1, -1),
    "GreaterOrEqual": (1, -1),
    "Less": (1, -1),
    "LessOrEqual": (1, -1),
}
"""Comparisons, and how far from what a number is compared with it gets either answer."""
_TRIPS = (3, 2)
"""What a number that a loop counts to should be."""


def input_specs(analysis: Analysis) -> list[InputSpec]:
    """The inputs that a user feeds, with bounds and choices that their readers tell.

    Optionals have no value.

    Raises:
        RuntimeFailureError: an input cannot be drawn, as it is a sequence, or of unknown rank.
    """
    facts = analysis.canonical.facts
    specs: list[InputSpec] = []
    for info in graph_inputs(analysis.canonical.model.proto):
        kind = info.type.WhichOneof("value")
        if kind not in ("tensor_type", "optional_type") or (
            kind == "tensor_type" and info.name not in facts.shapes
        ):
            raise RuntimeFailureError(
                "no inputs can be made up for the model",
                where=f"input {info.name}",
                why="its shape is not known" if kind == "tensor_type" else "it is no tensor",
                hint="give its shape (--input-shape)" if kind == "tensor_type" else "",
            )
        if info.name in facts.shapes:
            dtype = dtype_of(facts.elem_types[info.name])
            shape = facts.shapes[info.name]
            readers, carried = _readers(analysis, info.name)
            limit = _limit(analysis, readers, carried)
            single = dtype.kind in "biu" and prod(shape) == 1 and limit is None
            choices = _choices(analysis, dtype, readers, carried) if single else ()
            specs.append(InputSpec(info.name, dtype, shape, limit, choices))
    return specs


def _readers(analysis: Analysis, name: str) -> tuple[list[Node], set[str]]:
    """The nodes that read an input's values, and the names that those are carried on under."""
    carried = {name}
    readers: list[Node] = []
    for placed in analysis.placed:
        node = placed.node
        if carried.isdisjoint(node.inputs):
            continue
        readers.append(node)
        if node.op_type in _PASSES_VALUES and not _looks_up(node, carried):
            carried.update(node.outputs)
    return readers, carried


def _looks_up(node: Node, carried: set[str]) -> bool:
    """Whether a node takes the values for places in a table, which holds others."""
    return (
        node.op_type == "Gather"
        and len(node.inputs) > 1
        and node.inputs[1] in carried
        and node.inputs[0] not in carried
    )


def _limit(analysis: Analysis, readers: Iterable[Node], carried: set[str]) -> int | None:
    """Size of the smallest table that the input's values are looked up in."""
    limits: list[int] = []
    for node in readers:
        table = analysis.values.get(node.inputs[0])
        if table is not None and _looks_up(node, carried):
            limits.append(table.shape[int(str(node.attributes.get("axis", 0)))])
    return min(limits, default=None)


def _choices(
    analysis: Analysis, dtype: np.dtype[Any], readers: Iterable[Node], carried: set[str]
) -> tuple[int, ...]:
    """What a single number must be for conditions that read it to come out either way."""
    if dtype == np.bool_:
        return (1, 0)
    found: list[int] = []
    for node in readers:
        if node.op_type == "Cast" and type_names.get(int(str(node.attributes["to"]))) == "BOOL":
            found += (1, 0)
        elif node.op_type == "Loop" and node.inputs[0] in carried:
            found += _TRIPS
        elif node.op_type in _STEPS:
            others = (analysis.canonical.facts.values.get(name) for name in node.inputs)
            known = [int(value.item()) for value in others if value is not None and value.size == 1]
            found += (value + step for value in known for step in _STEPS[node.op_type])
    bounds = np.iinfo(dtype)
    return tuple(dict.fromkeys(value for value in found if bounds.min <= value <= bounds.max))
