"""Which coupling groups have the same structure, and may fairly be ranked against each other.

The structure of a group is the subgraph of operators that carry it: their types, the operands and
axes that carry it, and the values between them. Sizes are no part of it. Channels of groups with
different structures have importances of different scales; among isomorphic ones they compare.

Source: G. Fang, X. Ma, M. B. Mi, X. Wang, "Isomorphic Pruning for Vision Models", ECCV 2024.
Subgraphs are told apart by the hash of N. Shervashidze et al., "Weisfeiler-Lehman Graph Kernels",
JMLR 2011.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence

import networkx as nx

from onnxprune.axes import Dim
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group, carried
from onnxprune.coupling.placed import Placed

_ROUNDS = 3
"""Rounds of refinement: operators further apart than that do not tell structures apart."""


def isomorphism_classes(analysis: Analysis, groups: Sequence[Group]) -> dict[Group, int]:
    """The class of each group; isomorphic ones are of one class.

    Args:
        analysis: the model's axes.
        groups: its coupling groups.

    Returns:
        Classes counted from 0, in the order of their first group.
    """
    graphs = _subgraphs(analysis, {group.leaf: group for group in groups})
    numbers: dict[tuple[str, str], int] = {}
    classes: dict[Group, int] = {}
    for group in groups:
        structure = group.kind, _hash(graphs[group])
        classes[group] = numbers.setdefault(structure, len(numbers))
    return classes


def _hash(graph: nx.DiGraph[int]) -> str:
    with warnings.catch_warnings():
        # Between releases of networkx the hashes differ; here none outlives the call.
        warnings.filterwarnings("ignore", message="The hashes produced for directed graphs")
        return nx.weisfeiler_lehman_graph_hash(graph, node_attr="label", iterations=_ROUNDS)


def _subgraphs(analysis: Analysis, by_leaf: dict[Dim, Group]) -> dict[Group, nx.DiGraph[int]]:
    """For each group the operators that carry it, with an edge for each value between two."""
    graphs: dict[Group, nx.DiGraph[int]] = {group: nx.DiGraph() for group in by_leaf.values()}
    makers: dict[str, int] = {}
    for place, placed in enumerate(analysis.placed):
        for group, marks in _marks(placed, by_leaf).items():
            graph = graphs[group]
            graph.add_node(place, label=f"{placed.node.op_type} {' '.join(sorted(marks))}")
            for name in placed.node.inputs:
                if makers.get(name) in graph:
                    graph.add_edge(makers[name], place)
        makers.update(dict.fromkeys(placed.node.outputs, place))
    return graphs


def _marks(placed: Placed, by_leaf: dict[Dim, Group]) -> dict[Group, set[str]]:
    """The operands and axes of a node that carry each group, such as ``in1.0``."""
    marks: dict[Group, set[str]] = defaultdict(set)
    operands = [
        *((f"in{i}", value) for i, value in enumerate(placed.site.inputs)),
        *((f"out{i}", value) for i, value in enumerate(placed.site.outputs)),
    ]
    for operand, value in operands:
        for axis, dim in enumerate(value.dims if value is not None else ()):
            for group in carried((dim,), by_leaf):
                marks[group].add(f"{operand}.{axis}")
    return marks
