"""Laws of the axis algebra, on thousands of random trees."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.axes import Dim, DimSpace, Keep, Tracer, axis_mask

SIZES = (6, 8, 12, 24, 30, 36)
Tree = tuple[str, tuple[int, ...]]
Problem = tuple[int, list[Tree], list[tuple[int, int]], list[int]]


@st.composite
def trees(draw: st.DrawFn, size: int) -> Tree:
    """An atomic dim, a product or a concatenation of `size` indices."""
    kind = draw(st.sampled_from(("atom", "product", "concat")))
    if kind == "atom":
        return kind, (size,)
    if kind == "concat":
        bounds = draw(st.lists(st.integers(1, size - 1), min_size=1, max_size=3, unique=True))
        return kind, tuple(b - a for a, b in pairwise((0, *sorted(bounds), size)))
    factors, rest = [], size
    while rest > 1 and len(factors) < 3:
        factor = draw(st.sampled_from([f for f in range(1, rest + 1) if rest % f == 0]))
        factors.append(factor)
        rest //= factor
    return kind, (*factors, rest)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Some trees of one size, pairs of them to unify, and some to block."""
    size = draw(st.sampled_from(SIZES))
    forest = draw(st.lists(trees(size), min_size=2, max_size=5))
    index = st.integers(0, len(forest) - 1)
    pairs = draw(st.lists(st.tuples(index, index), min_size=1, max_size=6))
    return size, forest, pairs, draw(st.lists(index, max_size=1))


def build(space: DimSpace, tree: Tree, axes: list[Dim]) -> Dim:
    """Make the tree; its parts are axes too, as the operands of a Concat are."""
    kind, sizes = tree
    parts = [space.dim(size) for size in sizes]
    axes.extend(parts)
    if kind == "atom":
        return parts[0]
    return space.product(parts) if kind == "product" else space.concat(parts)


def solve(problem: Problem, order: list[int]) -> tuple[DimSpace, list[Dim]]:
    """Run the problem's calls in the given order."""
    _, forest, pairs, blocked = problem
    space = DimSpace()
    axes: list[Dim] = []
    wholes = [build(space, tree, axes) for tree in forest]
    calls = [("unify", pair) for pair in pairs] + [("block", (index, 0)) for index in blocked]
    for position in order:
        name, (a, b) = calls[position]
        if name == "unify":
            space.unify(wholes[a], wholes[b], f"call {position}")
        else:
            space.block(wholes[a], "asked", f"call {position}")
    return space, wholes + axes


def footprints(axes: list[Dim]) -> set[frozenset[tuple[int, int]]]:
    """What each removable unit removes, as (axis, index); units that wipe out an axis left out."""
    result = set()
    leaves = {leaf for axis in axes for leaf in axis.leaves() if leaf.is_free}
    for leaf in leaves:
        for unit in range(leaf.size):
            mask = np.arange(leaf.size) != unit
            gone = [~axis_mask(axis, {leaf: Keep(mask)}) for axis in axes]
            if not any(g.all() for g in gone):
                result.add(
                    frozenset((a, int(i)) for a, g in enumerate(gone) for i in np.flatnonzero(g))
                )
    return result


@settings(max_examples=3000, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_result_does_not_depend_on_order(problem: Problem, random: object) -> None:
    count = len(problem[2]) + len(problem[3])
    order = list(range(count))
    shuffled = order[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    _, first = solve(problem, order)
    _, second = solve(problem, shuffled)
    assert footprints(first) == footprints(second)
