"""Small questions about a graph, and small edits of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx


def label(node: onnx.NodeProto) -> str:
    """What a node is called in messages: its name, or the first value that it makes."""
    return node.name or next((name for name in node.output if name), node.op_type)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The bodies of If, Loop, Scan and their like."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def captured(graph: onnx.GraphProto) -> set[str]:
    """Names that a body takes from the graphs around it."""
    own = {tensor.name for tensor in graph.initializer} | {info.name for info in graph.input}
    own |= {tensor.values.name for tensor in graph.sparse_initializer}
    taken: set[str] = set()
    for node in graph.node:
        taken |= {name for name in node.input if name and name not in own}
        for body in subgraphs(node):
            taken |= captured(body) - own
        own |= set(node.output)
    return taken | ({info.name for info in graph.output} - own)


def reads(node: onnx.NodeProto) -> list[str]:
    """Names that a node reads, those that its bodies capture included; repeats are kept."""
    names = [name for name in node.input if name]
    for body in subgraphs(node):
        names.extend(sorted(captured(body)))
    return names


def uses(graph: onnx.GraphProto) -> Counter[str]:
    """How often each value is read, by nodes and as an output of the graph."""
    count = Counter(name for node in graph.node for name in reads(node))
    count.update(info.name for info in graph.output)
    return count


def live_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that an output of the graph depends on, in order."""
    wanted = {info.name for info in graph.output}
    live: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if any(name in wanted for name in node.output):
            live.append(node)
            wanted.update(reads(node))
    return live[::-1]


def replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Make `nodes`, a part of the graph's own in order, the graph's nodes."""
    kept = list(nodes)
    if len(kept) != len(graph.node):
        set_nodes(graph, kept)


def set_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Make copies of `nodes` the graph's nodes."""
    copies: list[onnx.NodeProto] = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    """A node's attributes as Python values; tensors and graphs are left out."""
    skipped = (
        onnx.AttributeProto.GRAPH,
        onnx.AttributeProto.GRAPHS,
        onnx.AttributeProto.TENSOR,
        onnx.AttributeProto.TENSORS,
        onnx.AttributeProto.SPARSE_TENSOR,
        onnx.AttributeProto.SPARSE_TENSORS,
        onnx.AttributeProto.TYPE_PROTO,
        onnx.AttributeProto.TYPE_PROTOS,
    )
    values: dict[str, object] = {}
    for attribute in node.attribute:
        if attribute.type not in skipped:
            value = onnx.helper.get_attribute_value(attribute)
            values[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return values


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the other rooms see it.

    Attributes:
        name: its label in messages (`label`).
        op_type: operator type.
        domain: operator set, ``""`` for the standard one.
        inputs: value names, ``""`` where an optional input is absent.
        outputs: value names likewise.
        attributes: attribute values as Python values; tensors and graphs are left out.
        captures: values that its bodies (If, Loop, Scan) take from around.
    """

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, object]
    captures: tuple[str, ...]


def nodes(proto: onnx.ModelProto) -> list[Node]:
    """Views of the main graph's nodes, in order."""
    return [
        Node(
            label(node),
            node.op_type,
            "" if node.domain == "ai.onnx" else node.domain,
            tuple(node.input),
            tuple(node.output),
            attributes(node),
            tuple(sorted(set[str]().union(*(captured(body) for body in subgraphs(node))))),
        )
        for node in proto.graph.node
    ]
