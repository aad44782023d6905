"""Conditions of control flow: which of them hold at any size of the inputs.

A value that is equal under both bindings of the dynamic sizes is taken for static. That is right
for what selects and combines sizes, but a comparison may come out the same at two sizes and
differently at a third: a batch is bound to 2 and to 3, never to 1. Conditions that follow from such
a comparison stay computed.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx

from onnxprune.ir.bodies import has_bodies
from onnxprune.ir.graph import all_graphs, all_nodes, captured, subgraphs
from onnxprune.ir.shapes import Facts

_SELECTING = frozenset(
    ("Gather", "GatherElements", "GatherND", "Shape", "Size", "Slice", "Split", "Where")
)
"""Operators whose result may have nothing to do with the elements that differ."""


def uncertain(graph: onnx.GraphProto, facts: Facts, others: Facts) -> set[str]:
    """Values that conditions depend on, and that may differ at sizes that no binding has.

    Args:
        graph: the main graph.
        facts: under the first binding.
        others: under the second.
    """
    if facts is others or not has_bodies(graph):
        return set()
    order = [node for node, _ in all_nodes(graph)]
    doubtful: set[str] = set()
    for node in order:
        if (
            _compares(node, facts, others)
            or not doubtful.isdisjoint(node.input)
            or _has_doubtful(node, doubtful)
        ):
            doubtful.update(_in_doubt(node, facts))
    return doubtful & _decisive(order)


def static_values(facts: Facts, others: Facts) -> set[str]:
    """Values that are known and equal under both bindings."""
    return {
        name
        for name, value in facts.values.items()
        if name in others.values and np.array_equal(value, others.values[name], equal_nan=True)
    }


def decided(
    graph: onnx.GraphProto, facts: Facts, static: Collection[str], apart: Collection[str] = ()
) -> dict[str, bool]:
    """The conditions of If that are static, by name.

    Args:
        graph: the main graph.
        facts: what is known of it.
        static: the values that are static.
        apart: results of the If that are left aside.
    """
    return {
        node.input[0]: bool(facts.values[node.input[0]].all())
        for node, _ in all_nodes(graph)
        if node.op_type == "If" and not node.domain and node.input[0] in static
        if node.output[0] not in apart
    }


def misfits(graph: onnx.GraphProto, facts: Facts) -> set[str]:
    """Values in bodies that the sizes of the inputs may not fit: they leave some shape unknown.

    A branch for one sampling rate takes another number of samples than the branch for another.
    The small values that are computed for such a body are among them.
    """
    names: set[str] = set()
    known = facts.shapes.keys() | facts.containers
    for body in all_graphs(graph):
        made = {name for node in body.node for name in node.output if name}
        if body is not graph and not known >= made:
            names.update(name for node, _ in all_nodes(body) for name in node.output)
            names.update(captured(body) & facts.values.keys())
    for node in reversed([node for node, _ in all_nodes(graph)]):
        if not names.isdisjoint(node.output):
            names.update(name for name in node.input if name in facts.values)
    return names


def _compares(node: onnx.NodeProto, facts: Facts, others: Facts) -> bool:
    """Whether a node computes the same from values that differ."""
    return (
        node.op_type not in _SELECTING
        and any(_differs(name, facts, others) for name in node.input)
        and not any(_differs(name, facts, others) for name in node.output)
    )


def _differs(name: str, facts: Facts, others: Facts) -> bool:
    value, other = facts.values.get(name), others.values.get(name)
    return value is not None and not (other is not None and np.array_equal(value, other))


def _has_doubtful(node: onnx.NodeProto, doubtful: set[str]) -> bool:
    return any(info.name in doubtful for body in subgraphs(node) for info in body.output)


def _in_doubt(node: onnx.NodeProto, facts: Facts) -> list[str]:
    """What is in doubt of a node's results: of an If, those that its branches make different."""
    if node.op_type != "If":
        return list(node.output)
    results = zip(*([info.name for info in body.output] for body in subgraphs(node)), strict=True)
    return [
        name
        for name, made in zip(node.output, results, strict=True)
        if name in facts.values or len({facts.shapes.get(result) for result in made}) > 1
    ]


def _decisive(order: list[onnx.NodeProto]) -> set[str]:
    """Everything that some condition is computed from."""
    wanted: set[str] = set()
    for node in reversed(order):
        bodies = list(subgraphs(node))
        if node.op_type in ("If", "Loop") and bodies:
            wanted.update(node.input[: 1 if node.op_type == "If" else 2])
        if not wanted.isdisjoint(node.output):
            wanted.update(node.input)
            wanted.update(info.name for body in bodies for info in body.output)
    return wanted
