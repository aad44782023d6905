"""Residual blocks: parts of a network that it computes something without.

A block is what lies between a tensor x and the sum ``x + f(x)``: all that only f needs. It is
named by the dependency graph alone. Without the coupling groups that live inside it and nowhere
else, every way to f's result ends in a sum over no channels, so that f is constant; nothing but
those groups is needed to take a block away, to prove that, and to put it into a plan.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from onnxprune.axes import Dim, Keep, kept_size
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group, carried
from onnxprune.coupling.placed import Placed
from onnxprune.ops.affine import linear_form


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A residual block.

    Attributes:
        name: of the node that adds it.
        shortcut: the value that goes around it, x.
        branch: its result, f(x).
        output: the sum.
        groups: the coupling groups that live inside it, and make it constant when they go.
        places: of its nodes.
        names: of all values that go with it: its results, and the weights that only it reads.
        parameters: elements of the weights that carry its groups.
    """

    name: str
    shortcut: str
    branch: str
    output: str
    groups: tuple[Group, ...]
    places: frozenset[int]
    names: frozenset[str]
    parameters: int

    def is_apart(self, groups: Iterable[Group]) -> bool:
        """Whether it has none of these groups."""
        return set(self.groups).isdisjoint(groups)


def without(groups: Iterable[Group]) -> dict[Dim, Keep]:
    """Masks that keep nothing of groups."""
    return {group.leaf: Keep(np.zeros(group.size, np.bool_)) for group in groups}


def find_blocks(analysis: Analysis, groups: Sequence[Group]) -> list[Block]:
    """The residual blocks of a model that can go, in graph order; one may lie inside another.

    Args:
        analysis: the model.
        groups: its coupling groups.
    """
    return list(_Finder(analysis, groups).blocks())


class _Finder:
    def __init__(self, analysis: Analysis, groups: Sequence[Group]) -> None:
        self._analysis = analysis
        self._placed = analysis.placed
        self._outputs = {info.name for info in analysis.canonical.model.proto.graph.output}
        self._makers: dict[str, int] = {}
        self._readers: dict[str, list[int]] = defaultdict(list)
        by_leaf = {group.leaf: group for group in groups}
        self._at: dict[Group, set[int]] = defaultdict(set)
        for place, placed in enumerate(self._placed):
            self._makers.update(dict.fromkeys(placed.node.outputs, place))
            for name in self._reads(placed):
                self._readers[name].append(place)
            operands = (v for v in (*placed.site.inputs, *placed.site.outputs) if v is not None)
            for group in carried((dim for value in operands for dim in value.dims), by_leaf):
                self._at[group].add(place)

    def blocks(self) -> Iterator[Block]:
        for place, placed in enumerate(self._placed):
            for shortcut, branch, places in self._ways(placed, place):
                found = [group for group, at in self._at.items() if at <= places]
                if found and self._is_constant_without(branch, found):
                    yield self._block(placed, shortcut, branch, found, places)

    def _ways(self, placed: Placed, place: int) -> Iterator[tuple[str, str, frozenset[int]]]:
        """The summand that a block makes, if there is one, behind the one that goes around it.

        The shortcut is what the block reads. Where it goes through nodes of its own, from the same
        activations, it is the shorter way.
        """
        summands = self._summands(placed)
        if len(summands) != 2:
            return
        one, two = ((name, self._behind(name, place)) for name in summands)
        ways = ((one, two), (two, one))
        direct = [way for way in ways if way[0][0] in self._border(way[1][1])]
        if not direct and self._border(one[1]) == self._border(two[1]) != set():
            direct = sorted(ways, key=lambda way: -len(way[1][1]))
        for (shortcut, _), (branch, places) in direct[:1]:
            yield shortcut, branch, places

    def _block(
        self,
        placed: Placed,
        shortcut: str,
        branch: str,
        groups: list[Group],
        places: frozenset[int],
    ) -> Block:
        constants = self._analysis.canonical.model.constants
        weights = {member.weight for group in groups for member in group.members}
        size = sum(map(self._analysis.parameters, weights))
        ordered = tuple(sorted(groups, key=lambda group: group.index))
        output = placed.node.outputs[0]
        made = {name for place in places for name in self._placed[place].node.outputs if name}
        read = {name for place in places for name in self._reads(self._placed[place])}
        names = made | {n for n in read & constants.keys() if places.issuperset(self._readers[n])}
        return Block(
            placed.node.name, shortcut, branch, output, ordered, places, frozenset(names), size
        )

    def _summands(self, placed: Placed) -> list[str]:
        """The operands of a sum of equally shaped activations."""
        if placed.node.within or not any(role.name == "sum" for role in placed.site.roles):
            return []
        shape = placed.site.y().shape
        values = placed.site.inputs
        same = all(value is not None and value.shape == shape for value in values)
        return list(dict.fromkeys(placed.node.inputs)) if same else []

    def _reads(self, placed: Placed) -> list[str]:
        return [name for name in (*placed.node.inputs, *placed.node.captures) if name]

    def _behind(self, name: str, reader: int) -> frozenset[int]:
        """The places of nodes that only the way from `name` to its reader needs."""
        found: set[int] = set()
        waiting = [-self._makers.get(name, 1)]
        while waiting:
            place = -heapq.heappop(waiting)
            if place < 0 or place in found:
                continue
            node = self._placed[place].node
            inside = found | {reader} if name in node.outputs else found
            if any(
                made in self._outputs or not inside.issuperset(self._readers[made])
                for made in node.outputs
            ):
                continue
            found.add(place)
            for read in self._reads(self._placed[place]):
                heapq.heappush(waiting, -self._makers.get(read, -1))
        return frozenset(found)

    def _border(self, places: frozenset[int]) -> set[str]:
        """The activations that nodes read and do not make themselves."""
        return {
            name
            for place in places
            for name in self._reads(self._placed[place])
            if self._makers.get(name, -1) not in places and name not in self._analysis.sources
        }

    def _is_constant_without(self, branch: str, groups: Sequence[Group]) -> bool:
        """Whether every way to a value ends in a sum over no channels without these groups."""
        keeps = without(groups)
        waiting, seen = [branch], {branch}
        while waiting:
            name = waiting.pop()
            if name in self._analysis.sources:
                continue
            if name not in self._makers:
                return False
            placed = self._placed[self._makers[name]]
            if linear_form(placed.site, keeps) is not None and any(
                role.name == "contracted" and not kept_size(role.dim, keeps)
                for role in placed.site.roles
            ):
                continue
            for value in placed.site.inputs:
                if value is None or any(not kept_size(dim, keeps) for dim in value.dims):
                    return False
            fresh = set(self._reads(placed)) - seen
            seen |= fresh
            waiting += fresh
        return True
