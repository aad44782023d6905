"""Bodies of control flow in the form that the analysis wants.

Every value has a name of its own over the whole model; every result of a body is computed in it;
initializers live in the main graph, which bodies see; and an If whose condition never changes is
replaced by the branch that is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx

from onnxprune.ir.graph import (
    all_graphs,
    body_name,
    fresh_name,
    label,
    named_subgraphs,
    rename,
    rename_here,
    set_nodes,
    subgraphs,
)


def has_bodies(graph: onnx.GraphProto) -> bool:
    """Whether any node of a graph has a body."""
    return any(True for node in graph.node for _ in subgraphs(node))


def separate(graph: onnx.GraphProto) -> None:
    """Give every value of a graph and its bodies a name of its own. In place.

    The main graph keeps its names. Where bodies use one name for different values, the first of
    them keeps it, and those of the others become ``NAME::BODY`` (`graph.body_name`). A result that
    its body takes from elsewhere, or from a constant, gets an Identity; outputs that nobody asks
    for get names.
    """
    _separate(graph, {}, set(_defined(graph)))


def _separate(graph: onnx.GraphProto, alias: Mapping[str, str], taken: set[str]) -> None:
    for node in graph.node:
        bodies = list(named_subgraphs(node))
        for place, name in enumerate(node.output if bodies else ()):
            if not name:
                node.output[place] = _fresh(f"{label(node)}::{place}", taken)
        for attribute, body in bodies:
            where = body_name(node, attribute)
            own: dict[str, str] = {}
            for name in _defined(body):
                own[name] = _fresh(f"{name}::{where}", taken) if name in taken else name
                taken.add(own[name])
            inner = {old: new for old, new in {**alias, **own}.items() if old != new}
            rename_here(body, inner)
            _compute_results(body, where, taken)
            _separate(body, inner, taken)


def _defined(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (info.name for info in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)
    yield from (name for node in graph.node for name in node.output if name)


def _fresh(name: str, taken: set[str]) -> str:
    name = fresh_name(name, taken)
    taken.add(name)
    return name


def _compute_results(body: onnx.GraphProto, where: str, taken: set[str]) -> None:
    """Let every result be the input of a body or made by a node of it, and none be there twice."""
    free = {info.name for info in body.input}
    for node in body.node:
        if node.op_type != "Constant" or node.domain:
            free.update(node.output)
    for info in body.output:
        if info.name not in free:
            source, info.name = info.name, _fresh(f"{info.name}::{where}", taken)
            body.node.append(onnx.helper.make_node("Identity", [source], [info.name]))
        free.discard(info.name)


def take_initializers(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """Take the initializers out of all bodies of a graph with separate names. In place."""
    found: list[onnx.TensorProto] = []
    for body in all_graphs(graph):
        if body is not graph:
            for tensor in body.initializer:
                copy = onnx.TensorProto()
                copy.CopyFrom(tensor)
                found.append(copy)
            del body.initializer[:]
    return found


def inline_branches(graph: onnx.GraphProto, conditions: Mapping[str, bool]) -> None:
    """Replace every If with a known condition by its branch. In place.

    Args:
        graph: the main graph, with separate names.
        conditions: the conditions that are known, by name.
    """
    for part in list(all_graphs(graph)):
        nodes: list[onnx.NodeProto] = []
        for node in part.node:
            if node.op_type == "If" and not node.domain and node.input[0] in conditions:
                branches = dict(named_subgraphs(node))
                branch = branches["then_branch" if conditions[node.input[0]] else "else_branch"]
                results = (info.name for info in branch.output)
                rename(branch, dict(zip(results, node.output, strict=True)))
                nodes.extend(branch.node)
                part.value_info.extend(branch.value_info)
            else:
                nodes.append(node)
        set_nodes(part, nodes)
