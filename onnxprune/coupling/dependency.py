"""The dependency graph: operators, the values between them, and the coupling groups over both.

A `DependencyGraph` is a `networkx.MultiDiGraph`, for people who want to draw a model's couplings or
compute on them. Attributes are plain strings and numbers, so that every format can hold them.

| node kind | attributes                                                                        |
|-----------|-----------------------------------------------------------------------------------|
| operator  | name, op_type, domain                                                             |
| value     | name, shape, tree, free, reason; border: "input" or "output" of the graph, or ""  |
| weight    | as value, parameters: every constant                                              |
| group     | name, group_kind, size, parameters, members, offered, rivals                      |

| edge kind | from, to                | attributes                                                |
|-----------|-------------------------|-----------------------------------------------------------|
| input     | value or weight to operator | index                                                 |
| output    | operator to value       | index                                                     |
| capture   | value to operator       | index; a body of the operator reads the value             |
| body      | value to operator, or back | index; a body of the operator makes it, or is handed it |
| member    | group to weight         | axis, producer                                            |
| rewrites  | group to operator       | the operator has operands that carry the group            |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx

from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import DEFAULT_KINDS, Group, carried, choose
from onnxprune.coupling.placed import Placed
from onnxprune.files import printable
from onnxprune.notebook import html_table

_GOLDEN_RATIO = 0.618034

if TYPE_CHECKING:
    _MultiDiGraph = nx.MultiDiGraph[str]
else:
    _MultiDiGraph = nx.MultiDiGraph  # it takes no type arguments when it runs


class DependencyGraph(_MultiDiGraph):
    """The dependency graph of a model; its nodes and edges are those of the tables above."""

    def __repr__(self) -> str:
        """How many nodes there are of each kind, in one line."""
        kinds = [data["kind"] for _, data in self.nodes(data=True)]
        parts = (f"{kinds.count(k):,} {k}s" for k in ("operator", "value", "weight", "group"))
        return f"<DependencyGraph {self.name!r}: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        """The coupling groups, those with most parameters first, as notebooks show them."""
        groups = [data for _, data in self.nodes(data=True) if data["kind"] == "group"]
        groups.sort(key=lambda data: -data["parameters"])
        columns = ("name", "group_kind", "size", "members", "parameters")
        rows = [[data[column] for column in columns] for data in groups]
        headings = ("coupling group", "kind", "size", "members", "parameters")
        return html_table(repr(self).strip("<>"), headings, rows)


def dependency_graph(analysis: Analysis, groups: Sequence[Group]) -> DependencyGraph:
    """The dependency graph of a model; its size is linear in that of the model.

    Args:
        analysis: the model's axes.
        groups: its coupling groups (`find_groups`).
    """
    graph = DependencyGraph(name=printable(analysis.canonical.model.proto.graph.name))
    for name in analysis.values:
        _add_value(graph, analysis, name)
    proto = analysis.canonical.model.proto.graph
    for border, infos in (("input", proto.input), ("output", proto.output)):
        for info in infos:
            if info.name not in analysis.canonical.model.constants:
                graph.nodes[_value_key(graph, analysis, info.name)]["border"] = border
    by_leaf = {group.leaf: group for group in groups}
    _add_groups(graph, analysis, groups)
    for index, placed in enumerate(analysis.placed):
        _add_operator(graph, analysis, f"operator:{index}", placed)
        operands = (v for v in (*placed.site.inputs, *placed.site.outputs) if v is not None)
        for group in carried((dim for value in operands for dim in value.dims), by_leaf):
            graph.add_edge(f"group:{group.index}", f"operator:{index}", kind="rewrites")
    return graph


def _add_value(graph: nx.MultiDiGraph[str], analysis: Analysis, name: str) -> None:
    value = analysis.values[name]
    leaves = [leaf for dim in value.dims for leaf in dim.leaves()]
    blocks = sorted(leaf.block for leaf in leaves if leaf.block is not None)
    free = any(leaf.is_free for leaf in leaves)
    constant = name in analysis.canonical.model.constants
    extra = {"parameters": analysis.parameters(name)} if constant else {}
    graph.add_node(
        f"value:{printable(name)}",
        kind="weight" if constant else "value",
        name=printable(name),
        shape="x".join(map(str, value.shape)),
        tree=" ".join(map(repr, value.dims)),
        free=free,
        reason=printable(blocks[0].reason) if blocks and not free else "",
        border="",
        **extra,
    )


def _value_key(graph: nx.MultiDiGraph[str], analysis: Analysis, name: str) -> str:
    """The node of a value; one without a known shape is added when first met."""
    key = f"value:{printable(name)}"
    if name not in analysis.values and key not in graph:
        graph.add_node(
            key,
            kind="value",
            name=printable(name),
            shape="?",
            tree="",
            free=False,
            reason="nothing tells its shape",
            border="",
        )
    return key


def _add_groups(graph: nx.MultiDiGraph[str], analysis: Analysis, groups: Sequence[Group]) -> None:
    offered = {group.index for group in choose(groups, DEFAULT_KINDS)}
    for group in groups:
        key = f"group:{group.index}"
        graph.add_node(
            key,
            kind="group",
            name=printable(group.name),
            group_kind=group.kind,
            size=group.size,
            parameters=group.parameters,
            members=len(group.members),
            offered=group.index in offered,
            rivals=" ".join(str(rival.index) for rival in group.rivals),
        )
        for member in group.members:
            weight = _value_key(graph, analysis, member.weight)
            graph.add_edge(key, weight, kind="member", axis=member.axis, producer=member.producer)


def _add_operator(
    graph: nx.MultiDiGraph[str], analysis: Analysis, key: str, placed: Placed
) -> None:
    node = placed.node
    graph.add_node(
        key,
        kind="operator",
        name=printable(node.name),
        op_type=printable(node.op_type),
        domain=printable(node.domain),
    )
    made = [name for body in node.bodies for name in body.outputs]
    for kind, names in (("input", node.inputs), ("capture", node.captures), ("body", made)):
        for index, name in enumerate(names):
            if name:
                graph.add_edge(_value_key(graph, analysis, name), key, kind=kind, index=index)
    handed = [name for body in node.bodies for name in body.inputs]
    for kind, names in (("output", node.outputs), ("body", handed)):
        for index, name in enumerate(names):
            if name:
                graph.add_edge(key, _value_key(graph, analysis, name), kind=kind, index=index)


def to_json(graph: nx.MultiDiGraph[str]) -> dict[str, Any]:
    """The graph as plain lists and dictionaries, in networkx's node-link form."""
    data: dict[str, Any] = nx.node_link_data(graph, edges="edges")
    return data


def to_graphml(graph: nx.MultiDiGraph[str]) -> str:
    """The graph as GraphML, which Gephi, yEd and networkx read."""
    return "\n".join(nx.generate_graphml(graph))


def to_dot(graph: nx.MultiDiGraph[str]) -> str:
    """The graph in Graphviz's language: a colour for each group, grey for what is blocked."""
    names = {key: f"n{number}" for number, key in enumerate(graph.nodes)}
    lines = ["digraph {", "  rankdir=TB;", "  node [fontsize=10];"]
    for key, data in graph.nodes(data=True):
        shown = ", ".join(f"{a}={_quoted(v)}" for a, v in _node_style(key, data).items())
        lines.append(f"  {names[key]} [{shown}];")
    for source, target, data in graph.edges(data=True):
        shown = ", ".join(f"{a}={_quoted(v)}" for a, v in _edge_style(source, data).items())
        lines.append(f"  {names[source]} -> {names[target]} [{shown}];")
    return "\n".join([*lines, "}", ""])


def _node_style(key: str, data: dict[str, Any]) -> dict[str, str]:
    match data["kind"]:
        case "operator":
            return {"shape": "box", "label": f"{data['op_type']}\n{data['name']}"}
        case "group":
            label = f"{data['name']}\n{data['size']} indices"
            style = "filled" if data["offered"] else "filled,dashed"
            colour = _colour(key, 0.35)
            return {"shape": "octagon", "label": label, "style": style, "fillcolor": colour}
        case kind:
            label = f"{data['name']}\n{data['tree'] or data['shape']}"
            shape = "cylinder" if kind == "weight" else "ellipse"
            blocked = {"style": "filled", "fillcolor": "grey85"}
            return {"shape": shape, "label": label, **({} if data["free"] else blocked)}


def _edge_style(source: str, data: dict[str, Any]) -> dict[str, str]:
    match data["kind"]:
        case "member":
            style = "solid" if data["producer"] else "dashed"
            return {"color": _colour(source, 0.9), "style": style, "label": str(data["axis"])}
        case "rewrites":
            return {"color": _colour(source, 0.9), "style": "dotted", "constraint": "false"}
        case kind:
            return {"style": "dashed"} if kind == "capture" else {}


def _colour(group: str, saturation: float) -> str:
    """A colour of its own for each group: hues spread by the golden ratio."""
    hue = int(group.removeprefix("group:")) * _GOLDEN_RATIO % 1
    return f"{hue:.3f} {saturation} 0.9"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
