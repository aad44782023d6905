"""Laws of the axis algebra, on thousands of random trees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.axes import Dim, DimSpace, Keep, axis_mask
from tests.axes.trees import (
    LARGE_SIZES,
    LONG,
    SIZES,
    Problem,
    footprints,
    free_leaves,
    problems,
    solve,
)

EXAMPLES = 75 if LONG else 1
"""Factor on the number of examples; HYPOTHESIS_PROFILE=long asks for many."""


def random_keeps(axes: list[Dim], seed: int) -> dict[Dim, Keep]:
    rng = np.random.default_rng(seed)
    return {leaf: Keep(rng.random(leaf.size) < 0.6) for leaf in free_leaves(axes)}


@settings(max_examples=800 * EXAMPLES, deadline=None)
@given(problems(LARGE_SIZES if LONG else SIZES), st.data())
def test_result_does_not_depend_on_order(problem: Problem, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(problem.calls))))
    assert footprints(solve(problem).axes) == footprints(solve(problem, order).axes)


@settings(max_examples=250 * EXAMPLES, deadline=None)
@given(problems(), st.integers(0, 1000))
def test_both_sides_of_a_unification_have_the_same_mask(problem: Problem, seed: int) -> None:
    solved = solve(problem)
    keeps = random_keeps(solved.axes, seed)
    for edge in solved.space.edges:
        assert edge.left.root is edge.right.root
    for axis in solved.axes:
        for dim in (axis, *axis.factors, *axis.segments):
            if dim.segments:
                parts = np.concatenate([axis_mask(part, keeps) for part in dim.segments])
                assert (axis_mask(dim, keeps) == parts).all()
            elif dim.factors and not is_clashed(solved.space, dim):
                outer = np.ones(1, dtype=np.bool_)
                for factor in dim.factors:
                    outer = np.logical_and.outer(outer, axis_mask(factor, keeps)).reshape(-1)
                assert (axis_mask(dim, keeps) == outer).all()


def is_clashed(space: DimSpace, dim: Dim) -> bool:
    """Whether index orders clash within `dim`: then its own factors keep everything."""
    return any(
        leaf.block is not None and leaf.block.order in space.clashes for leaf in dim.leaves()
    )


@settings(max_examples=200 * EXAMPLES, deadline=None)
@given(problems())
def test_refinement_never_changes_a_size(problem: Problem) -> None:
    unsolved, solved = solve(problem, ()), solve(problem)
    for before, after in zip(unsolved.axes, solved.axes, strict=True):
        assert before.size == after.size == after.root.size == axis_mask(after, {}).size
        for dim in (after, *after.leaves()):
            root = dim.root
            if root.factors:
                assert np.prod([factor.size for factor in root.factors]) == root.size
            if root.segments:
                assert sum(segment.size for segment in root.segments) == root.size


@settings(max_examples=250 * EXAMPLES, deadline=None)
@given(problems())
def test_a_block_is_final_and_inherited(problem: Problem) -> None:
    """More calls block more, and never free an index that was blocked."""
    count = len(problem.calls)
    stuck: set[tuple[int, int]] = set()
    for calls in range(count + 1):
        solved = solve(problem, range(calls))
        free = {place for unit in footprints(solved.axes) for place in unit}
        assert not stuck & free
        places = {(a, i) for a, axis in enumerate(solved.axes) for i in range(axis.size)}
        stuck |= places - free
    for dim, _ in solve(problem).space.blocks:
        assert all(leaf.block is not None for leaf in dim.leaves() if leaf.size > 1)


@settings(max_examples=200 * EXAMPLES, deadline=None)
@given(problems())
def test_one_index_is_never_a_unit(problem: Problem) -> None:
    solved = solve(problem)
    for axis in solved.axes:
        for leaf in axis.leaves():
            assert leaf.size > 1 or not leaf.is_free
        for unit in footprints([axis]):
            assert len(unit) < axis.size


def test_sizes_must_agree() -> None:
    space = DimSpace()
    with pytest.raises(ValueError, match="sizes 3 and 4 differ at 'Add'"):
        space.unify(space.dim(3), space.dim(4), "Add")


def test_factors_of_one_index_are_dropped_without_loss() -> None:
    space = DimSpace()
    group, channel = space.dim(1), space.dim(8)
    assert space.product((group, channel)) is channel
    assert space.product((group, space.dim(1))).size == 1
    assert space.product(()).size == 1


def test_empty_segments_are_dropped() -> None:
    space = DimSpace()
    dim = space.dim(4)
    assert space.concat((space.dim(0), dim, space.dim(0))) is dim


def test_concatenations_are_cut_at_the_union_of_their_boundaries() -> None:
    space = DimSpace()
    left = space.concat((space.dim(4), space.dim(8)))
    right = space.concat((space.dim(6), space.dim(6)))
    space.unify(left, right)
    assert repr(left) == repr(right) == "4+2+6"


def test_a_boundary_between_rows_cuts_the_outer_factor() -> None:
    space = DimSpace()
    product = space.product((space.dim(6), space.dim(4)))
    space.unify(product, space.concat((space.dim(8), space.dim(16))))
    assert repr(product) == "(2+4 4)"


def test_a_boundary_within_a_row_cuts_both_factors() -> None:
    space = DimSpace()
    product = space.product((space.dim(4), space.dim(6)))
    pieces = space.cut(product, [10])
    assert repr(product) == "(1+1+2 4+2)"
    assert [repr(piece) for piece in pieces] == ["4+2+4", "2+(2 4+2)"]


def test_a_clash_blocks_only_what_clashes() -> None:
    space = DimSpace()
    left = space.product([space.dim(size) for size in (3, 2, 5, 3, 2)])
    right = space.product([space.dim(size) for size in (2, 3, 5, 2, 3)])
    space.unify(left, right, "Reshape")
    space.settle()
    assert repr(left) == "(2! 3! 5 2! 3!)"
    block = next(leaf.block for leaf in left.leaves())
    assert block is not None
    assert block.reason == "index orders clash: (3 x 2) against (2 x 3)"
    assert block.where == "Reshape"


def test_a_clash_is_the_reason_only_where_there_is_no_other() -> None:
    space = DimSpace()
    left = space.product((space.dim(2), space.dim(3)))
    space.unify(left, space.product((space.dim(3), space.dim(2))), "Reshape")
    space.block(left, "a place", "Conv")
    space.settle()
    assert {leaf.block.reason for leaf in left.leaves() if leaf.block} == {"a place"}


def test_behind_a_clash_stands_what_blocked_the_other_side() -> None:
    space = DimSpace()
    windows = space.product((space.dim(8), space.dim(7)))
    pairs = space.product((space.dim(28), space.dim(2)))
    space.block(windows, "a place", "Conv")
    space.unify(windows, pairs, "Slice")
    space.settle()
    blocks = [leaf.block for leaf in pairs.leaves()]
    assert len(blocks) == 3
    for block in blocks:
        assert block is not None
        assert space.cause(block).reason == "a place"
    again = space.product((space.dim(14), space.dim(2)))
    space.unify(space.product((space.dim(4), space.dim(7))), pairs.factors[0], "Reshape")
    space.unify(again, pairs.factors[0], "Slice")
    space.settle()
    blocks = [leaf.block for leaf in again.leaves()]
    assert {space.cause(block).reason for block in blocks if block is not None} == {"a place"}
    free = space.product((space.dim(2), space.dim(3)))
    space.unify(free, space.product((space.dim(3), space.dim(2))), "Reshape")
    space.settle()
    block = next(free.leaves()).block
    assert block is not None
    assert space.cause(block) is block


def test_what_is_linked_to_a_blocked_dim_later_is_blocked() -> None:
    space = DimSpace()
    blocked, dim = space.dim(6), space.product((space.dim(2), space.dim(3)))
    space.block(blocked, "asked", "here")
    space.unify(dim, blocked)
    assert [leaf.block is not None for leaf in dim.leaves()] == [True, True]


def test_split_makes_fresh_factors() -> None:
    space = DimSpace()
    dim = space.dim(12)
    rows, columns = space.split(dim, (3, 4), "Slice")
    assert (rows.size, columns.size, repr(dim)) == (3, 4, "(3 4)")
    assert space.edges[0].where == "Slice"


def test_a_cut_at_nothing_is_the_dim_itself() -> None:
    space = DimSpace()
    dim = space.dim(12)
    assert space.cut(dim, []) == [dim]
    assert not space.edges
