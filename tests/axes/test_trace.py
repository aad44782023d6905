"""Paths of couplings: complete, made of recorded steps, and sufficient."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings

from onnxprune.axes import Dim, DimSpace, Tracer
from onnxprune.axes.trace import Step
from tests.axes.trees import LONG, Problem, problems, solve


def assert_recorded(space: DimSpace, start: Dim, path: Iterable[Step]) -> None:
    """Every step is a recorded unification, or leads into or out of a part."""
    edges = {(edge.left, edge.right, edge.where) for edge in space.edges}
    edges |= {(right, left, where) for left, right, where in edges}
    dim = start
    for near, where in path:
        parts = (*dim.factors, *dim.segments)
        wholes = (*near.factors, *near.segments)
        assert (dim, near, where) in edges or (not where and (near in parts or dim in wholes))
        dim = near


@settings(max_examples=20_000 if LONG else 400, deadline=None)
@given(problems(depth=2))
def test_a_path_leads_to_every_axis_that_carries_the_leaf(problem: Problem) -> None:
    """Where index orders clash a place can be lost, so paths of blocked leaves are not asked."""
    solved = solve(problem)
    if solved.space.clashes:
        return
    tracer = Tracer(solved.space)
    for number, start in enumerate(solved.axes):
        for leaf in start.leaves():
            if leaf.size < 2:
                continue
            for goal_number, goal in enumerate(solved.axes[:number]):
                if goal is start or leaf not in goal.leaves():
                    continue
                path = tracer.shortest_path(start, goal, leaf)
                assert path
                assert path[-1][0] is goal
                assert_recorded(solved.space, start, path)
                assert_sufficient(problem, path, number, goal_number)


def assert_sufficient(problem: Problem, path: list[Step], start: int, goal: int) -> None:
    """The calls on a path tie both ends without any other call."""
    calls = {int(where.removeprefix("call ")) for _, where in path if where}
    axes = solve(problem, sorted(calls)).axes
    assert set(axes[start].leaves()) & set(axes[goal].leaves())


@settings(max_examples=20_000 if LONG else 400, deadline=None)
@given(problems(depth=2))
def test_a_path_leads_to_what_blocked_a_leaf(problem: Problem) -> None:
    solved = solve(problem)
    space = solved.space
    if space.clashes:
        return
    tracer = Tracer(space)
    for axis in solved.axes:
        for leaf in axis.leaves():
            if leaf.block is None or leaf.size < 2:
                continue
            causes = [dim for dim, _ in space.blocks if leaf in dim.leaves()]
            path = tracer.nearest(axis, causes, leaf)
            assert axis in causes or path[-1][0] in causes
            assert_recorded(space, axis, path)


def test_the_way_with_the_fewest_couplings_is_taken() -> None:
    space = DimSpace()
    a, b, c = (space.dim(4, name) for name in "abc")
    for left, right, where in ((a, b, "long 1"), (b, c, "long 2"), (a, c, "short")):
        space.unify(left, right, where)
    assert Tracer(space).shortest_path(a, c, a.root) == [(c, "short")]


def test_no_way_leads_out_of_a_concatenation_by_another_segment() -> None:
    """Both halves carry the leaf, but what ties them is the Add and not the Concat."""
    space = DimSpace()
    halves = space.dim(3, "left"), space.dim(3, "right")
    whole = space.dim(6, "whole")
    space.unify(whole, space.concat(halves), "Concat")
    other = space.dim(3, "other")
    space.unify(halves[0], other, "Add 1")
    space.unify(other, halves[1], "Add 2")
    path = Tracer(space).shortest_path(*halves, other.root)
    assert path == [(other, "Add 1"), (halves[1], "Add 2")]


def test_a_leaf_that_is_shared_by_both_factors_is_followed_through_one() -> None:
    space = DimSpace()
    channel, rows = space.dim(4, "channel"), space.dim(4, "rows")
    gram = space.product((channel, channel))
    space.unify(gram, space.product((rows, space.dim(4))), "Reshape")
    path = Tracer(space).shortest_path(rows, channel, channel.root)
    assert [where for _, where in path] == ["", "Reshape", ""]


def test_nothing_leads_to_a_dim_that_does_not_carry_the_leaf() -> None:
    space = DimSpace()
    a, b = space.dim(4), space.dim(4)
    assert Tracer(space).shortest_path(a, b, a) == []
    assert Tracer(space).nearest(a, (), a) == []
