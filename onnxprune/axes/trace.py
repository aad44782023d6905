"""The path of couplings between two dims, for explanations.

Union-find forgets why two dims are one. A `Tracer` replays the log of unifications: it follows one
index of a leaf from dim to dim, along edges, and between a dim and the factors or segments it was
made of. A coupling keeps the position of the index, a step into a segment moves it, a step out of
a factor leads to every place that the factor reaches; so a path never leaves a concatenation
through another segment than it came in by, unless some coupling ties the two.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product as cross
from math import prod

from onnxprune.axes.dim import Dim
from onnxprune.axes.space import DimSpace

Step = tuple[Dim, str]
"""A dim that a path comes to, and the operator that led there; ``""`` steps to or from a part."""

_State = tuple[Dim, int]
_CELL_LIMIT = 4096
_ANYWHERE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """The shortest paths from one dim to every dim that a leaf reaches.

    Attributes:
        start: the dim that all paths start from.
        goals: where each dim was first met.
    """

    start: Dim
    goals: Mapping[Dim, _State]
    _came: Mapping[_State, tuple[_State, str] | None]

    def to(self, goal: Dim) -> list[Step]:
        """The steps that lead to `goal`; empty where it is the start or out of reach."""
        steps: list[Step] = []
        state = self.goals.get(goal)
        while state is not None and (step := self._came[state]) is not None:
            steps.append((state[0], step[1]))
            state = step[0]
        return steps[::-1]


class Tracer:
    """Neighbourhoods of all dims of a space, made once for many questions."""

    def __init__(self, space: DimSpace) -> None:
        """Index the log of `space`."""
        self._near: dict[Dim, list[Step]] = defaultdict(list)
        self._wholes: dict[Dim, list[Dim]] = defaultdict(list)
        self._known: set[Dim] = set()
        self._cells: dict[Dim, list[int]] = {}
        self._parts: dict[Dim, tuple[list[Dim], list[Dim]]] = {}
        self._snapped: dict[tuple[Dim, int, Dim], list[int]] = {}
        for edge in space.edges:
            self._near[edge.left].append((edge.right, edge.where))
            self._near[edge.right].append((edge.left, edge.where))
            self._add_parts(edge.left)
            self._add_parts(edge.right)
        for dim, _ in space.blocks:
            self._add_parts(dim)

    def _add_parts(self, dim: Dim) -> None:
        if dim in self._known:
            return
        self._known.add(dim)
        for part in dict.fromkeys((*dim.factors, *dim.segments, *dim.members)):
            self._wholes[part].append(dim)
            self._add_parts(part)

    def shortest_path(self, start: Dim, goal: Dim, leaf: Dim) -> list[Step]:
        """The dims passed on the way from `start` to `goal`, with as few couplings as can be.

        Args:
            start: a dim whose tree contains `leaf`.
            goal: another one.
            leaf: the atomic root that the whole path must carry.

        Returns:
            The steps after `start`. Empty when there is no path.
        """
        return self.nearest(start, (goal,), leaf)

    def nearest(self, start: Dim, goals: Collection[Dim], leaf: Dim) -> list[Step]:
        """The path to that of `goals` which the fewest couplings lead to; as `shortest_path`."""
        for exact in (True, False):
            paths = self.paths(start, leaf, goals, exact=exact)
            for goal in goals:
                if goal in paths.goals:
                    return paths.to(goal)
        return []

    def paths(
        self, start: Dim, leaf: Dim, until: Collection[Dim] = (), *, exact: bool = True
    ) -> Paths:
        """Follow `leaf` from `start`.

        Args:
            start: a dim whose tree contains `leaf`.
            leaf: an atomic root.
            until: stop at the first of these; with none, go everywhere.
            exact: follow one index by its place. Places get lost where index orders clash;
                otherwise any dim that carries the leaf will do.
        """
        for dim in (start, *until):
            self._add_parts(dim)
        wanted = set(until)
        came: dict[_State, tuple[_State, str] | None] = {}
        goals: dict[Dim, _State] = {}
        queue: deque[tuple[_State, tuple[_State, str] | None]] = deque(
            ((start, index), None)
            for index in (self._places(start.root, leaf) if exact else [_ANYWHERE])
        )
        while queue:
            state, step = queue.popleft()
            if state in came:
                continue
            came[state] = step
            goals.setdefault(state[0], state)
            if state[0] in wanted:
                return Paths(start, {state[0]: state}, came)
            # A step into or out of a part is free: what counts is the number of couplings.
            for near in self._parts_and_wholes(state, leaf):
                if near not in came:
                    queue.appendleft((near, (state, "")))
            for dim, where in self._near[state[0]]:
                if (dim, state[1]) not in came:
                    push = queue.append if where else queue.appendleft
                    push(((dim, state[1]), (state, where)))
        return Paths(start, goals, came)

    def _parts_and_wholes(self, state: _State, leaf: Dim) -> Iterator[_State]:
        dim, index = state
        if index == _ANYWHERE:
            for near in (*dim.factors, *dim.segments, *dim.members, *self._wholes.get(dim, ())):
                if leaf in near.leaves():
                    yield near, index
            return
        offset, inner = 0, dim.size
        for segment in dim.segments:
            if offset <= index < offset + segment.size:
                yield from self._settle(segment, index - offset, leaf)
            offset += segment.size
        for factor in dim.factors:
            inner //= factor.size
            yield from self._settle(factor, index // inner % factor.size, leaf)
        for whole in self._wholes.get(dim, ()):
            for place in self._outwards(whole, dim, index):
                yield from self._settle(whole, place, leaf)

    def _outwards(self, whole: Dim, part: Dim, index: int) -> Iterator[int]:
        """Indices of `whole` that index `index` of its part leads to, one for each cell."""
        offset = 0
        for segment in whole.segments:
            if segment is part:
                yield offset + index
            offset += segment.size
        for place, factor in enumerate(whole.factors):
            if factor is part:
                yield from self._combine(whole.factors, {place: [index]})

    def _settle(self, dim: Dim, index: int, leaf: Dim) -> Iterator[_State]:
        for place in self._snap(dim.root, index, leaf):
            yield dim, place

    # Places: an index of a dim stands for all that differ from it only in other leaves.

    def _tree(self, root: Dim) -> tuple[list[Dim], list[Dim]]:
        """Segments and factors of a root, nested ones spliced in; the space grows no more."""
        if root not in self._parts:
            self._parts[root] = (
                [segment.root for segment in root.walk_segments()] if root.segments else [],
                [factor.root for factor in root.walk_factors()] if root.factors else [],
            )
        return self._parts[root]

    def _places(self, root: Dim, leaf: Dim) -> list[int]:
        """Where the traced index of `leaf` is found in a tree, once for each cell."""
        if root is leaf:
            return [_traced(leaf)]
        segments, factors = self._tree(root)
        found: list[int] = []
        offset = 0
        for segment in segments:
            found.extend(offset + place for place in self._places(segment, leaf))
            offset += segment.size
        for position, factor in enumerate(factors):
            if places := self._places(factor, leaf):
                found.extend(self._combine(factors, {position: places}))
        return found

    def _snap(self, root: Dim, index: int, leaf: Dim) -> list[int]:
        """The places (`_places`) whose cell holds `index`; several where the leaf is met twice."""
        if root is leaf:
            return [index] if index == _traced(leaf) else []
        key = root, index, leaf
        if key not in self._snapped:
            self._snapped[key] = self._snap_within(root, index, leaf)
        return self._snapped[key]

    def _snap_within(self, root: Dim, index: int, leaf: Dim) -> list[int]:
        segments, factors = self._tree(root)
        offset = 0
        for segment in segments:
            if index < offset + segment.size:
                return [offset + place for place in self._snap(segment, index - offset, leaf)]
            offset += segment.size
        digits = _digits(index, factors)
        found: list[int] = []
        for position, factor in enumerate(factors):
            for place in self._snap(factor, digits[position], leaf):
                cell = [self._cell(f, digit) for f, digit in zip(factors, digits, strict=True)]
                cell[position] = place
                found.append(_join(cell, factors))
        return found

    def _cell(self, root: Dim, index: int) -> int:
        """First index of the cell of a tree that holds `index`."""
        segments, factors = self._tree(root)
        offset = 0
        for segment in segments:
            if index < offset + segment.size:
                return offset + self._cell(segment, index - offset)
            offset += segment.size
        digits = _digits(index, factors)
        return _join(
            [self._cell(f, digit) for f, digit in zip(factors, digits, strict=True)], factors
        )

    def _cells_of(self, root: Dim) -> list[int]:
        """First index of every cell of a tree: what no leaf tells apart is one cell."""
        if root not in self._cells:
            segments, factors = self._tree(root)
            cells: list[int] = []
            offset = 0
            for segment in segments:
                cells.extend(offset + cell for cell in self._cells_of(segment))
                offset += segment.size
            self._cells[root] = cells or list(self._combine(factors, {}))
        return self._cells[root]

    def _combine(self, factors: Sequence[Dim], fixed: Mapping[int, list[int]]) -> Iterator[int]:
        """Indices of a product: the `fixed` factors' own, every cell of the others."""
        choices = [
            fixed.get(position) or self._cells_of(factor.root)
            for position, factor in enumerate(factors)
        ]
        if prod(map(len, choices)) > _CELL_LIMIT:
            choices = [fixed.get(position, choice[:1]) for position, choice in enumerate(choices)]
        return (_join(digits, factors) for digits in cross(*choices))


def _traced(leaf: Dim) -> int:
    """The index that is followed: not 0, which stands for the whole cell in other leaves."""
    return min(1, leaf.size - 1)


def _digits(index: int, factors: Sequence[Dim]) -> list[int]:
    digits: list[int] = []
    for factor in reversed(factors):
        index, digit = divmod(index, factor.size)
        digits.append(digit)
    return digits[::-1]


def _join(digits: Iterable[int], factors: Iterable[Dim]) -> int:
    index = 0
    for digit, factor in zip(digits, factors, strict=True):
        index = index * factor.size + digit
    return index
