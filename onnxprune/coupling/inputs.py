"""What the inputs of a model may hold, read off its graph."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed
from onnxprune.data.random import InputSpec
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.bindings import graph_inputs
from onnxprune.ir.elements import dtype_of
from onnxprune.ops.conditions import HANDS_ON, choices


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


def _readers(analysis: Analysis, name: str) -> tuple[list[Placed], set[str]]:
    """The nodes that read an input's values, and the names that those are carried on under."""
    carried = {name}
    readers: list[Placed] = []
    for placed in analysis.placed:
        node = placed.node
        if carried.isdisjoint(node.inputs):
            continue
        readers.append(placed)
        if node.op_type in HANDS_ON and not _looks_up(placed, carried):
            carried.update(node.outputs)
    return readers, carried


def _looks_up(placed: Placed, carried: set[str]) -> bool:
    """Whether a node takes the values for places in a table, which holds others."""
    table, *indices = placed.node.inputs
    known = placed.operator is not None and placed.operator.looks_up
    return known and table not in carried and not carried.isdisjoint(indices)


def _limit(analysis: Analysis, readers: Iterable[Placed], carried: set[str]) -> int | None:
    """Size of the smallest table that the input's values are looked up in."""
    limits: list[int] = []
    for placed in readers:
        table = analysis.values.get(placed.node.inputs[0])
        if table is not None and _looks_up(placed, carried):
            limits.append(table.shape[placed.site.attribute("axis", 0)])
    return min(limits, default=None)


def _choices(
    analysis: Analysis, dtype: np.dtype[Any], readers: Iterable[Placed], carried: set[str]
) -> tuple[int, ...]:
    """What a single number must be for conditions that read it to come out either way."""
    if dtype == np.bool_:
        return (1, 0)
    found: list[int] = []
    for node in (placed.node for placed in readers):
        others = (analysis.canonical.facts.values.get(name) for name in node.inputs)
        known = [int(value.item()) for value in others if value is not None and value.size == 1]
        places = [place for place, name in enumerate(node.inputs) if name in carried]
        found += choices(node.op_type, node.attributes, places, known)
    bounds = np.iinfo(dtype)
    return tuple(dict.fromkeys(value for value in found if bounds.min <= value <= bounds.max))
