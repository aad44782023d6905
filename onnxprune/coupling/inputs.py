"""What the inputs of a model may hold, read off its graph."""

from __future__ import annotations

from onnxprune.coupling.analysis import Analysis
from onnxprune.data.random import InputSpec
from onnxprune.ir.bindings import graph_inputs
from onnxprune.ir.tensors import dtype_of

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


def input_specs(analysis: Analysis) -> list[InputSpec]:
    """The inputs that a user feeds, with the bounds of those that are looked up in a table."""
    facts = analysis.canonical.facts
    specs: list[InputSpec] = []
    for info in graph_inputs(analysis.canonical.model.proto):
        if info.name in facts.shapes:
            dtype = dtype_of(facts.elem_types[info.name])
            shape = facts.shapes[info.name]
            specs.append(InputSpec(info.name, dtype, shape, _limit(analysis, info.name)))
    return specs


def _limit(analysis: Analysis, name: str) -> int | None:
    """Size of the smallest table that the input's values are looked up in."""
    carried = {name}
    limits: list[int] = []
    for placed in analysis.placed:
        node = placed.node
        if not carried.intersection(node.inputs):
            continue
        if node.op_type == "Gather" and len(node.inputs) > 1 and node.inputs[1] in carried:
            table = analysis.values.get(node.inputs[0])
            if table is not None and not carried.intersection(node.inputs[:1]):
                limits.append(table.shape[int(str(node.attributes.get("axis", 0)))])
                continue
        if node.op_type in _PASSES_VALUES:
            carried.update(node.outputs)
    return min(limits, default=None)
