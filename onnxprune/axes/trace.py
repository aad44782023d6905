"""The path of couplings between two dims, for explanations.

Union-find forgets why two dims are one. `shortest_path` replays the log of unifications: it walks
from dim to dim along edges, and between a dim and the factors or segments it was made of, but
only through dims that carry the leaf in question.
"""

from __future__ import annotations

from collections import defaultdict, deque

from onnxprune.axes.dim import Dim
from onnxprune.axes.space import DimSpace


class Tracer:
    """Neighbourhoods of all dims of a space, made once for many questions."""

    def __init__(self, space: DimSpace) -> None:
        """Index the log of `space`."""
        self._near: dict[Dim, list[tuple[Dim, str]]] = defaultdict(list)
        made: set[Dim] = set()
        for edge in space.edges:
            self._near[edge.left].append((edge.right, edge.where))
            self._near[edge.right].append((edge.left, edge.where))
            self._add_parts(edge.left, made)
            self._add_parts(edge.right, made)
        for dim, _ in space.blocks:
            self._add_parts(dim, made)

    def _add_parts(self, dim: Dim, made: set[Dim]) -> None:
        if dim in made:
            return
        made.add(dim)
        for part in (*dim.factors, *dim.segments):
            self._near[dim].append((part, ""))
            self._near[part].append((dim, ""))
            self._add_parts(part, made)

    def shortest_path(self, start: Dim, goal: Dim, leaf: Dim) -> list[tuple[Dim, str]]:
        """The dims passed on the way from `start` to `goal`, each with the operator that led there.

        Args:
            start: a dim whose tree contains `leaf`.
            goal: another one.
            leaf: the atomic root that the whole path must carry.

        Returns:
            The steps after `start`; ``""`` as operator means a step into a part of a dim.
            Empty when there is no path.
        """
        came: dict[Dim, tuple[Dim, str] | None] = {start: None}
        queue = deque([start])
        while queue:
            dim = queue.popleft()
            if dim is goal:
                return self._unwind(came, goal)
            for near, where in self._near[dim]:
                if near not in came and leaf in near.leaves():
                    came[near] = (dim, where)
                    queue.append(near)
        return []

    @staticmethod
    def _unwind(came: dict[Dim, tuple[Dim, str] | None], goal: Dim) -> list[tuple[Dim, str]]:
        steps: list[tuple[Dim, str]] = []
        dim = goal
        while (step := came[dim]) is not None:
            steps.append((dim, step[1]))
            dim = step[0]
        return steps[::-1]
