"""Places for the nodes of a directed graph: rows by longest path, in each row near their sources.

Layers after K. Sugiyama, S. Tagawa, M. Toda, *Methods for Visual Understanding of Hierarchical
System Structures* (IEEE Transactions on Systems, Man, and Cybernetics, 1981): cycles are broken,
nodes get ranks, and ranks are ordered by the barycentre of the neighbours above.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)
ROW = 8
"""More nodes of one rank go on in further rows."""


def rows(nodes: Sequence[Node], edges: Mapping[Node, Sequence[Node]]) -> list[list[Node]]:
    """Rows from top to bottom; edges of cycles that have to run upwards do.

    Args:
        nodes: in the order in which they should come where edges leave a choice.
        edges: from a node to others; those to nodes that are not in `nodes` do not count.
    """
    known = set(nodes)
    inside = {node: [n for n in edges.get(node, ()) if n in known and n != node] for node in nodes}
    order, down = _without_cycles(nodes, inside)
    ranks = dict.fromkeys(nodes, 0)
    for node in order:
        for follower in down[node]:
            ranks[follower] = max(ranks[follower], ranks[node] + 1)
    above: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node, followers in down.items():
        for follower in followers:
            above[follower].append(node)
    made: list[list[Node]] = []
    column: dict[Node, float] = {}
    by_rank: list[list[Node]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for node in nodes:
        by_rank[ranks[node]].append(node)
    for here in by_rank:
        here.sort(key=lambda node: _mean([column[source] for source in above[node]]))
        width = min(len(here), ROW)
        for start in range(0, len(here), ROW):
            row = here[start : start + ROW]
            column |= {node: place - (width - 1) / 2 for place, node in enumerate(row)}
            made.append(row)
    return made


def _without_cycles(
    nodes: Sequence[Node], edges: Mapping[Node, Sequence[Node]]
) -> tuple[list[Node], dict[Node, list[Node]]]:
    """Nodes in topological order, and the edges without those that close a cycle (depth first)."""
    entered = {follower for followers in edges.values() for follower in followers}
    roots = sorted(nodes, key=lambda node: node in entered)
    down: dict[Node, list[Node]] = {node: [] for node in nodes}
    seen: set[Node] = set()
    open_: set[Node] = set()
    done: list[Node] = []
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        open_.add(root)
        stack = [(root, iter(edges[root]))]
        while stack:
            node, followers = stack[-1]
            follower = next(followers, None)
            if follower is None:
                stack.pop()
                open_.discard(node)
                done.append(node)
            elif follower not in open_:
                down[node].append(follower)
                if follower not in seen:
                    seen.add(follower)
                    open_.add(follower)
                    stack.append((follower, iter(edges[follower])))
    return done[::-1], down


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
