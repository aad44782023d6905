"""What a model carries beside what it computes, and what of that another file has lost."""

from collections.abc import Iterator
from typing import Any

import onnx

import onnxprune as op
from onnxprune.ir.difference import difference
from onnxprune.ir.graph import all_graphs, all_nodes, reads

_TEXT = "said by the backend report"
_FOLDED = frozenset(("If", "Shape", "Size"))
"""Operators that may go, and what follows from them alone: branches are decided, sizes known."""


def dressed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model that says something about itself and all its parts."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.producer_name = copy.producer_version = copy.domain = _TEXT
    copy.model_version = 7
    for part in (copy, *_parts(copy)):
        part.doc_string = f"{_TEXT}: {type(part).__name__}"
        part.metadata_props.add(key="said", value=type(part).__name__)
    return copy


def _parts(model: onnx.ModelProto) -> Iterator[Any]:
    """Every message in a model that has a doc string and properties."""
    for graph in all_graphs(model.graph):
        yield graph
        yield from (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer)
        yield from (sparse.values for sparse in graph.sparse_initializer)
    for function in model.functions:
        yield from (function, *function.node)


def lost(original: onnx.ModelProto, saved: onnx.ModelProto) -> list[str]:
    """What the second file does not have although nothing was removed from the first.

    What follows from constants and sizes may be folded, functions inlined, branches decided.
    """
    found = difference(op.load(original), op.load(saved))
    changed = {**found.ports, **found.versions}
    said = [f"{name} was {before}, is {after}" for name, (before, after) in changed.items()]
    needed = _needed(original)
    return [
        *said,
        *found.lost,
        *_lost_nodes(original, saved, needed),
        *_lost_tensors(original, saved, needed),
        *_lost_notes(original, saved),
    ]


def _needed(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The nodes of the main graph that nothing of the above concerns, by first output.

    Outputs depend on them, not only through branches, which may not be taken; and they on inputs.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    moving = {info.name for info in model.graph.input} - constants
    functions = {(function.domain, function.name) for function in model.functions}
    found: dict[str, onnx.NodeProto] = {}
    for node in _live(model.graph):
        if node.op_type in _FOLDED or moving.isdisjoint(reads(node)):
            continue
        moving.update(node.output)
        if (node.domain, node.op_type) not in functions:
            found[next(filter(None, node.output), "")] = node
    return found


def _live(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that outputs depend on, whichever branches are taken."""
    wanted = {info.name for info in graph.output}
    live: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output):
            live.append(node)
            wanted.update(node.input if node.op_type == "If" else reads(node))
    return live[::-1]


def _lost_nodes(
    original: onnx.ModelProto, saved: onnx.ModelProto, needed: dict[str, onnx.NodeProto]
) -> Iterator[str]:
    made = {name: node for node, _ in all_nodes(saved.graph) for name in node.output if name}
    for node, _ in all_nodes(original.graph):
        name = next(filter(None, node.output), "")
        twin = made.get(name)
        if twin is not None and twin.op_type == node.op_type and not _is_same(node, twin):
            yield f"node {name} ({node.op_type}) is another one"
        elif twin is None and name in needed:
            yield f"node {name} ({node.op_type}) is gone"
    for info in original.graph.value_info:
        if info.name in made and info not in saved.graph.value_info:
            yield f"what is said of value {info.name} is gone"


def _lost_tensors(
    original: onnx.ModelProto, saved: onnx.ModelProto, needed: dict[str, onnx.NodeProto]
) -> Iterator[str]:
    read = {name for node in needed.values() for name in reads(node)}
    tensors = {tensor.name: tensor for tensor in saved.graph.initializer}
    for tensor in original.graph.initializer:
        if tensor.name in tensors and tensors[tensor.name] != tensor:
            yield f"initializer {tensor.name} is another one"
        elif tensor.name not in tensors and tensor.name in read:
            yield f"initializer {tensor.name} is gone"
    for sparse in original.graph.sparse_initializer:
        if sparse not in saved.graph.sparse_initializer and sparse.values.name in read:
            yield f"sparse initializer {sparse.values.name} is gone"


def _lost_notes(original: onnx.ModelProto, saved: onnx.ModelProto) -> Iterator[str]:
    if original.graph.quantization_annotation != saved.graph.quantization_annotation:
        yield "annotations of quantization"
    if original.training_info != saved.training_info:
        yield "what is said of training"
    called = {(node.domain, node.op_type, node.overload) for node, _ in all_nodes(saved.graph)}
    for function in original.functions:
        is_called = (function.domain, function.name, function.overload) in called
        if is_called and function not in saved.functions:
            yield f"function {function.name}, which is called"


def _is_same(node: onnx.NodeProto, twin: onnx.NodeProto) -> bool:
    """Whether a node is another one, but for names of values and what its bodies hold.

    What an attribute said may be said by an input more.
    """
    first, second = (_bare(each) for each in (node, twin))
    if len(twin.input) > len(node.input):
        said = [attribute for attribute in first.attribute if attribute in second.attribute]
        del first.attribute[:]
        first.attribute.extend(said)
    return first == second


def _bare(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.input[:], copy.output[:]
    for attribute in copy.attribute:
        attribute.ClearField("g")
        del attribute.graphs[:]
    return copy
