"""What a model carries beside what it computes, and what of that another file has lost."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import onnx

import onnxprune as op
from onnxprune.ir.difference import difference
from onnxprune.ir.graph import all_graphs, all_nodes, live_nodes, reads

_TEXT = "said by the backend report"
_SIZES = frozenset(("Shape", "Size"))


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
    for function in model.functions:
        yield from (function, *function.node)


def lost(original: onnx.ModelProto, saved: onnx.ModelProto) -> list[str]:
    """What the second file does not have although nothing was removed from the first.

    What follows from constants and sizes may be folded, functions inlined, branches decided.
    """
    found = difference(op.load(original), op.load(saved))
    changed = [f"{name} was {a}, is {b}" for name, (a, b) in found.ports.items()]
    changed += [
        f"version of {name or 'ai.onnx'}: {a}, {b}" for name, (a, b) in found.versions.items()
    ]
    return [*changed, *found.lost, *_lost_parts(original, saved)]


def _lost_parts(original: onnx.ModelProto, saved: onnx.ModelProto) -> Iterator[str]:
    needed = _needed(original)
    made = {node.output[0]: node for node, _ in all_nodes(saved.graph) if node.output}
    tensors = {tensor.name: tensor for tensor in saved.graph.initializer}
    for node, graph in all_nodes(original.graph):
        twin = next((made[name] for name in node.output[:1] if name in made), None)
        if twin is not None and twin.op_type == node.op_type:
            if not _is_same(node, twin):
                yield f"node {node.output[0]} ({node.op_type}) is another one"
        elif node.output and node.output[0] in needed and graph is original.graph:
            yield f"node {node.output[0]} ({node.op_type}) is gone"
    read = {name for node in needed.values() for name in reads(node)}
    for tensor in original.graph.initializer:
        if tensor.name not in tensors and tensor.name in read:
            yield f"initializer {tensor.name} is gone"
        elif tensor.name in tensors and tensors[tensor.name] != tensor:
            yield f"initializer {tensor.name} is another one"
    for sparse in original.graph.sparse_initializer:
        if sparse not in saved.graph.sparse_initializer and sparse.values.name in read:
            yield f"sparse initializer {sparse.values.name} is gone"
    for info in original.graph.value_info:
        if info.name in made and info not in saved.graph.value_info:
            yield f"what is said of value {info.name} is gone"
    for name in ("quantization_annotation",):
        if list(getattr(original.graph, name)) != list(getattr(saved.graph, name)):
            yield name
    if list(original.training_info) != list(saved.training_info):
        yield "training_info"
    missing = [f.name for f in original.functions if f not in saved.functions]
    called = {(node.domain, node.op_type) for node, _ in all_nodes(saved.graph)}
    yield from (
        f"function {f.name}, which is called,"
        for f in original.functions
        if f.name in missing and (f.domain, f.name) in called
    )


def _needed(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The nodes of the main graph that outputs depend on and that depend on inputs, by first output.

    Calls of functions are none, nor are branches, which may have been decided.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    moving = {info.name for info in model.graph.input} - constants
    functions = {(function.domain, function.name) for function in model.functions}
    found: dict[str, onnx.NodeProto] = {}
    for node in live_nodes(model.graph):
        if node.op_type in _SIZES or moving.isdisjoint(reads(node)):
            continue
        moving.update(node.output)
        if node.op_type != "If" and (node.domain, node.op_type) not in functions:
            found[next(filter(None, node.output), "")] = node
    return found


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
