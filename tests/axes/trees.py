"""Random forests of dims, and calls that unify, cut and block them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from onnxprune.axes import Dim, DimSpace, Keep, axis_mask

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SIZES = (6, 8, 12, 24, 30, 36)
LARGE_SIZES = (*SIZES, 48, 60, 72, 120)


@dataclass(frozen=True, slots=True)
class Tree:
    """A dim to be made.

    Attributes:
        kind: "atom", "product", "concat", or "shared" for a dim of that size that stands already.
        size: number of indices.
        parts: factors or segments.
        pick: which of the dims of that size is shared.
    """

    kind: str
    size: int
    parts: tuple[Tree, ...] = ()
    pick: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A call on the space; the numbers pick among the axes of fitting size."""

    kind: str
    left: int
    right: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Trees of one size, and calls on them and their parts."""

    forest: tuple[Tree, ...]
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A space after the calls; `axes` are the dims of the problem, in a fixed order."""

    space: DimSpace
    axes: list[Dim]


@st.composite
def trees(draw: st.DrawFn, size: int, depth: int) -> Tree:
    """A tree of `size` indices, nested at most `depth` deep."""
    kinds = ["atom", "shared"]
    if depth and size > 1:
        kinds += ["product", "concat"] * 2
    kind = draw(st.sampled_from(kinds))
    if kind == "concat":
        bounds = draw(st.lists(st.integers(1, size - 1), min_size=1, max_size=3, unique=True))
        sizes = [b - a for a, b in pairwise((0, *sorted(bounds), size))]
    elif kind == "product":
        sizes = draw(factorings(size))
    else:
        return Tree(kind, size, pick=draw(st.integers(0, 20)))
    return Tree(kind, size, tuple(draw(trees(part, depth - 1)) for part in sizes))


@st.composite
def factorings(draw: st.DrawFn, size: int) -> list[int]:
    """Two to four factors of `size`, outermost first; some may be 1."""
    factors: list[int] = []
    rest = size
    while rest > 1 and len(factors) < 3:
        factor = draw(st.sampled_from([f for f in range(1, rest + 1) if rest % f == 0]))
        factors.append(factor)
        rest //= factor
    return [*factors, rest]


@st.composite
def problems(draw: st.DrawFn, sizes: Sequence[int] = SIZES, depth: int = 3) -> Problem:
    """Some trees of one size, and calls that unify wholes or parts, cut, and block."""
    size = draw(st.sampled_from(sizes))
    forest = draw(st.lists(trees(size, depth), min_size=2, max_size=5))
    kinds = st.sampled_from(("whole",) * 4 + ("part",) * 2 + ("cut", "block"))
    calls = st.builds(Call, kinds, st.integers(0, 30), st.integers(0, 30))
    return Problem(tuple(forest), tuple(draw(st.lists(calls, min_size=1, max_size=6))))


def build(space: DimSpace, tree: Tree, axes: list[Dim]) -> Dim:
    """Make the tree; its parts are axes too, as the operands of a Concat are."""
    same = [axis for axis in axes if axis.size == tree.size]
    if tree.kind == "shared" and same:
        dim = same[tree.pick % len(same)]
    elif tree.parts:
        parts = [build(space, part, axes) for part in tree.parts]
        dim = space.product(parts) if tree.kind == "product" else space.concat(parts)
    else:
        dim = space.dim(tree.size)
    axes.append(dim)
    return dim


def solve(problem: Problem, order: Sequence[int] | None = None) -> Solved:
    """Run the problem's calls in the given order; each call is named by its number."""
    space, axes = DimSpace(), list[Dim]()
    wholes = [build(space, tree, axes) for tree in problem.forest]
    parts = list(axes)
    cuts: dict[int, tuple[list[int], list[Dim]]] = {}
    for number, call in enumerate(problem.calls):
        size = parts[call.left % len(parts)].size
        if call.kind == "cut" and size > 1:
            bounds = [1 + call.right % (size - 1)]
            cuts[number] = bounds, [space.dim(b - a) for a, b in pairwise((0, *bounds, size))]
            axes.extend(cuts[number][1])
    for number in range(len(problem.calls)) if order is None else order:
        call, where = problem.calls[number], f"call {number}"
        pool = wholes if call.kind == "whole" else parts
        left = pool[call.left % len(pool)]
        if call.kind == "block":
            space.block(left, "asked", where)
        elif number in cuts:
            bounds, fresh = cuts[number]
            for piece, dim in zip(space.cut(left, bounds, where), fresh, strict=True):
                space.unify(piece, dim, where)
        elif call.kind != "cut":
            same = [dim for dim in pool if dim.size == left.size]
            space.unify(left, same[call.right % len(same)], where)
    space.settle()
    return Solved(space, axes)


def free_leaves(axes: Sequence[Dim]) -> list[Dim]:
    """The free leaves of all axes, each once, in the order of first appearance."""
    return list(dict.fromkeys(leaf for axis in axes for leaf in axis.leaves() if leaf.is_free))


def footprints(axes: Sequence[Dim]) -> set[frozenset[tuple[int, int]]]:
    """What each removable unit removes, as (axis, index)."""
    carriers: dict[Dim, list[int]] = {}
    for number, axis in enumerate(axes):
        for leaf in axis.leaves():
            if leaf.is_free:
                carriers.setdefault(leaf, []).append(number)
    result: set[frozenset[tuple[int, int]]] = set()
    for leaf, numbers in carriers.items():
        for unit in range(leaf.size):
            keep = {leaf: Keep(np.arange(leaf.size) != unit)}
            gone = [(number, np.flatnonzero(~axis_mask(axes[number], keep))) for number in numbers]
            result.add(frozenset((n, int(i)) for n, indices in gone for i in indices))
    return result
