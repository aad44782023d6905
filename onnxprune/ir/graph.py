"""Small questions about a graph, and small edits of it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import onnx


def label(node: onnx.NodeProto) -> str:
    """What a node is called in messages: its name, or the first value that it makes."""
    return node.name or next((name for name in node.output if name), node.op_type)


def body_name(node: onnx.NodeProto, attribute: str) -> str:
    """What a body is called: by the first value that its node makes, which no other node does."""
    return f"{next((name for name in node.output if name), node.name)}.{attribute}"


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The bodies of If, Loop, Scan and their like."""
    return (body for _, body in named_subgraphs(node))


def named_subgraphs(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """The bodies with the names of their attributes."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.name, attribute.g
        for index, body in enumerate(attribute.graphs):
            yield f"{attribute.name}.{index}", body


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The bodies at every depth and the graph itself, each behind those inside it."""
    for node in graph.node:
        for body in subgraphs(node):
            yield from all_graphs(body)
    yield graph


def all_nodes(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, onnx.GraphProto]]:
    """Every node with the graph that it stands in, those of its bodies before it.

    A node's position in this order is its *place*.
    """
    for node in graph.node:
        for body in subgraphs(node):
            yield from all_nodes(body)
        yield node, graph


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
    """How often each value is read, by nodes and as an output of the graph; bodies included."""
    count: Counter[str] = Counter()
    for part in all_graphs(graph):
        count.update(name for node in part.node for name in node.input if name)
        count.update(info.name for info in part.output)
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


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put the nodes of a graph into an order in which each reads what was made before. In place.

    Nodes keep their order where they can; a graph with a cycle stays as it is. ONNX asks for such
    an order, ONNX Runtime does not, and some converters do not keep it.
    """
    makers = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    needs = [{makers[name] for name in reads(node) if name in makers} for node in graph.node]
    if all(max(before, default=-1) < place for place, before in enumerate(needs)):
        return
    readers: dict[int, list[int]] = {}
    for place, before in enumerate(needs):
        for maker in before:
            readers.setdefault(maker, []).append(place)
    waiting = [len(before) for before in needs]
    ready = [place for place, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for place in readers.get(order[-1], ()):
            waiting[place] -= 1
            if not waiting[place]:
                heapq.heappush(ready, place)
    if len(order) == len(needs):
        set_nodes(graph, [graph.node[place] for place in order])


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


def fresh_name(name: str, taken: Container[str]) -> str:
    """A name for something new: `name` if nothing is called that, else one like it."""
    while name in taken:
        name += "'"
    return name


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename values in a graph and its bodies, in place; each name must stand for one value."""
    for part in all_graphs(graph):
        rename_here(part, names)


def rename_here(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename values in a graph, in place; its bodies stay as they are."""
    for node in graph.node if names else ():
        for operands in (node.input, node.output):
            for place, name in enumerate(operands):
                if name in names:
                    operands[place] = names[name]
    for info in (*graph.input, *graph.output, *graph.value_info):
        info.name = names.get(info.name, info.name)
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        tensor.name = names.get(tensor.name, tensor.name)


def keep_infos(graph: onnx.GraphProto, names: Container[str]) -> None:
    """Drop what a graph says of the types of other values than these, in place."""
    for index in reversed(range(len(graph.value_info))):
        if graph.value_info[index].name not in names:
            del graph.value_info[index]


def type_text(kind: onnx.TypeProto) -> str:
    """A type as people write it, such as ``float[N,3,224,224]``, ``seq(float)``; ``?`` if unknown.

    What has no shape has no brackets; a size that nobody knows is a ``?``.
    """
    which = kind.WhichOneof("value")
    if which == "sequence_type":
        return f"seq({type_text(kind.sequence_type.elem_type)})"
    if which == "optional_type":
        return f"optional({type_text(kind.optional_type.elem_type)})"
    if which == "map_type":
        key = onnx.TensorProto.DataType.Name(kind.map_type.key_type).lower()
        return f"map({key},{type_text(kind.map_type.value_type)})"
    if which not in ("tensor_type", "sparse_tensor_type"):
        return "?"
    tensor = kind.tensor_type if which == "tensor_type" else kind.sparse_tensor_type
    name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    name = name if which == "tensor_type" else f"sparse {name}"
    if not tensor.HasField("shape"):
        return name
    sizes = (
        str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )
    return f"{name}[{','.join(sizes)}]"


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
            values[attribute.name] = _decoded(value) if isinstance(value, bytes) else value
    return values


def _decoded(content: bytes) -> str | bytes:
    """A text; what is none, such as a compiled model of a provider's, stays as it is."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


@dataclass(frozen=True, slots=True)
class Body:
    """A body of If, Loop, Scan and their like.

    Attributes:
        name: what messages call it (`body_name`).
        inputs: names of the values that the node hands to it.
        outputs: names of its results.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


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
        captures: names that its bodies take from around.
        bodies: its bodies, in the order of its attributes.
        within: the body that it stands in itself; ``""`` in the main graph.
    """

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, object]
    captures: tuple[str, ...] = ()
    bodies: tuple[Body, ...] = ()
    within: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What patterns are tried on: its name, its type, and the values it makes and reads."""
        return self.name, self.op_type, *self.outputs, *self.inputs


def matches(names: Iterable[str], patterns: Iterable[str]) -> bool:
    """Whether a glob pattern fits a name; absent ones are left out."""
    tried = list(patterns)
    return any(fnmatchcase(name, pattern) for name in names if name for pattern in tried)


def nodes(proto: onnx.ModelProto) -> list[Node]:
    """Views of all nodes, bodies included, in the order of `all_nodes`."""
    return list(_views(proto.graph, ""))


def _views(graph: onnx.GraphProto, within: str) -> Iterator[Node]:
    for node in graph.node:
        bodies: list[Body] = []
        captures: set[str] = set()
        for attribute, body in named_subgraphs(node):
            name = body_name(node, attribute)
            yield from _views(body, name)
            captures |= captured(body)
            bodies.append(
                Body(
                    name,
                    tuple(info.name for info in body.input),
                    tuple(info.name for info in body.output),
                )
            )
        yield Node(
            label(node),
            node.op_type,
            "" if node.domain == "ai.onnx" else node.domain,
            tuple(node.input),
            tuple(node.output),
            attributes(node),
            tuple(sorted(captures)),
            tuple(bodies),
            within,
        )
