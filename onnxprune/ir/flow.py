"""Shapes through control flow: what the bodies of If, Loop and Scan are handed, and what they make.

A branch sees what is around it. The body of a loop is followed once, for a state of the shape that
it starts with; where the body makes it another one, its shape depends on the iteration and is
unknown. Elements of a state are never known, those of the condition are: no body runs without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnxprune.ir.graph import all_graphs, named_subgraphs

if TYPE_CHECKING:
    from onnxprune.ir.shapes import Interpreter, Shape

CONTROL = frozenset(("If", "Loop", "Scan"))
"""Operators of the standard domain that are followed."""
_SCAN_OVER_AXES = 9
"""First opset whose Scan has no batch axis of its own."""


def follow(known: Interpreter, node: onnx.NodeProto) -> bool:
    """Follow shapes through the bodies of a node to its outputs.

    Args:
        known: the pass, up to this node.
        node: one of `CONTROL`.

    Returns:
        Whether this form of the operator is understood.
    """
    if node.domain not in ("", "ai.onnx"):
        return False
    bodies = dict(named_subgraphs(node))
    if node.op_type == "If" and bodies.keys() == {"then_branch", "else_branch"}:
        _follow_branches(known, node, bodies)
    elif node.op_type == "Loop" and bodies.keys() == {"body"}:
        _follow_loop(known, node, bodies["body"])
    elif (
        node.op_type == "Scan" and known.version() >= _SCAN_OVER_AXES and bodies.keys() == {"body"}
    ):
        _follow_scan(known, node, bodies["body"])
    else:
        return False
    return True


def _follow_branches(
    known: Interpreter, node: onnx.NodeProto, branches: dict[str, onnx.GraphProto]
) -> None:
    for branch in branches.values():
        known.walk(branch)
    condition = known.facts.values.get(node.input[0])
    taken = list(branches.values())
    if condition is not None and condition.size == 1:
        taken = [branches["then_branch" if condition.item() else "else_branch"]]
    for place, name in enumerate(node.output):
        if name:
            _agree(known, name, [branch.output[place].name for branch in taken])


def _agree(known: Interpreter, name: str, results: Sequence[str]) -> None:
    """Note of an output what holds for all results that it may be."""
    facts, first = known.facts, results[0]
    if first not in facts.elem_types:
        if first in known.types:
            known.note_type(name, known.types[first])
        return
    shapes = {facts.shapes.get(result) for result in results}
    known.note(name, facts.elem_types[first], shapes.pop() if len(shapes) == 1 else None)
    values = [facts.values.get(result) for result in results]
    value = values[0]
    if value is not None and all(v is not None and np.array_equal(v, value) for v in values):
        known.learn(name, value)


def _follow_loop(known: Interpreter, node: onnx.NodeProto, body: onnx.GraphProto) -> None:
    counter, condition, *states = body.input
    known.note(counter.name, onnx.TensorProto.INT64, _number_shape(counter))
    known.learn(condition.name, np.ones(_number_shape(condition), np.bool_))
    _iterate(known, node.input[2:], states, body, body.output[1:])
    _hand_out(known, node.output, states)
    trips = _note_trips(known, node, _trip_count(known, node, body))
    if trips is None and len(node.output) > len(states):
        known.facts.guessed, trips = True, known.trips
    for name, result in zip(
        node.output[len(states) :], body.output[1 + len(states) :], strict=False
    ):
        _stack(known, name, result.name, trips, 0)


def _number_shape(info: onnx.ValueInfoProto) -> Shape:
    """Loops hand out scalars, or vectors of one element where the body declares them."""
    return (1,) * len(info.type.tensor_type.shape.dim)


def _note_trips(known: Interpreter, node: onnx.NodeProto, trips: int | None) -> int | None:
    if trips is not None:
        known.facts.trips[node.output[0]] = trips
    return trips


def _trip_count(known: Interpreter, node: onnx.NodeProto, body: onnx.GraphProto) -> int | None:
    """How often a loop runs, where nothing but its counter ends it."""
    values = known.facts.values
    conditions = [body.output[0].name, *(name for name in node.input[1:2] if name)]
    ends = any(name not in values or not values[name].all() for name in conditions)
    count = values.get(node.input[0])
    return None if ends or count is None or count.size != 1 else max(int(count.item()), 0)


def _follow_scan(known: Interpreter, node: onnx.NodeProto, body: onnx.GraphProto) -> None:
    lists = {a.name: list(a.ints) for a in node.attribute}
    scanned = next(a.i for a in node.attribute if a.name == "num_scan_inputs")
    count = len(node.input) - scanned
    states, slices = body.input[:count], body.input[count:]
    length = None
    axes = lists.get("scan_input_axes") or [0] * scanned
    for source, info, axis in zip(node.input[count:], slices, axes, strict=True):
        shape = known.facts.shapes.get(source)
        if shape is not None:
            length = shape[axis]
            axis %= len(shape)
            shape = shape[:axis] + shape[axis + 1 :]
        if source in known.facts.elem_types:
            known.note(info.name, known.facts.elem_types[source], shape)
    _iterate(known, node.input[:count], states, body, body.output)
    _hand_out(known, node.output, states)
    _note_trips(known, node, length)
    made = body.output[count:]
    axes = lists.get("scan_output_axes") or [0] * len(made)
    for name, result, axis in zip(node.output[count:], made, axes, strict=False):
        _stack(known, name, result.name, length, axis)


def _iterate(
    known: Interpreter,
    initial: Sequence[str],
    states: Sequence[onnx.ValueInfoProto],
    body: onnx.GraphProto,
    results: Sequence[onnx.ValueInfoProto],
) -> None:
    """Follow a loop's body, for states of the shapes that hold in every iteration."""
    shapes = known.facts.shapes
    moving: set[str] = set()
    while True:
        for source, state in zip(initial, states, strict=True):
            _hand_in(known, source, state.name, state.name not in moving)
        known.walk(body)
        moved = {
            state.name
            for state, result in zip(states, results, strict=False)
            if state.name in shapes and shapes.get(result.name) != shapes[state.name]
        }
        if not moved:
            return
        moving |= moved
        known.forget((*_made_in(body), *moving))


def _hand_in(known: Interpreter, source: str, name: str, whole: bool) -> None:
    if source in known.facts.elem_types:
        shape = known.facts.shapes.get(source) if whole else None
        known.note(name, known.facts.elem_types[source], shape)
    elif source in known.types:
        known.note_type(name, known.types[source])


def _hand_out(
    known: Interpreter, outputs: Sequence[str], states: Sequence[onnx.ValueInfoProto]
) -> None:
    for name, state in zip(outputs, states, strict=False):
        if name:
            _hand_in(known, state.name, name, whole=True)


def _stack(known: Interpreter, name: str, result: str, length: int | None, axis: int) -> None:
    """Note of an output that it holds the results of all iterations, side by side."""
    facts = known.facts
    if not name or result not in facts.elem_types:
        return
    shape = facts.shapes.get(result)
    if shape is not None and length is not None:
        axis %= len(shape) + 1
        known.note(name, facts.elem_types[result], (*shape[:axis], length, *shape[axis:]))
    else:
        known.note(name, facts.elem_types[result], None)


def _made_in(body: onnx.GraphProto) -> Iterator[str]:
    for graph in all_graphs(body):
        for node in graph.node:
            yield from node.output
        if graph is not body:
            yield from (info.name for info in graph.input)
