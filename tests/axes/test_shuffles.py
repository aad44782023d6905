"""Shuffles whose groupings do not divide each other: rows of the one, cut out of the other."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.axes import (
    Dim,
    DimSpace,
    Keep,
    axis_mask,
    kept_size,
    places_of,
    resolve_shuffle,
    tensor_mask,
)


def shuffle(
    space: DimSpace, channels: int, groups: int, *, may_differ: bool = True
) -> tuple[Dim, Dim, Dim]:
    """An axis of `channels` times `groups` that is read the other way round, `d` its channels."""
    left = space.product((space.dim(channels), space.dim(groups)))
    rows, inner = space.dim(groups), space.dim(channels)
    right = space.product((rows, inner))
    space.unify(left, right, "Conv")
    space.settle(lambda clash: resolve_shuffle(space, clash, lambda *_: may_differ))
    return left, right, inner


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(c, g) for c in (7, 12, 13, 20, 25, 40) for g in (2, 3, 4, 5) if c % g and c // g > 2],
)
def test_a_removal_is_one_of_both_groupings(channels: int, groups: int) -> None:
    space = DimSpace()
    left, right, inner = shuffle(space, channels, groups)
    (leaf,) = {leaf for leaf in left.leaves() if leaf.is_free}
    assert leaf.size * groups > channels - 2 * groups
    rng = np.random.default_rng(channels * groups)
    keeps = {leaf: Keep(rng.random(leaf.size) < 0.5)}
    mask = axis_mask(left, keeps)
    assert (axis_mask(right, keeps) == mask).all()
    by_group = mask.reshape(channels, groups)
    assert (by_group == by_group[:, :1]).all()
    rows = mask.reshape(groups, channels)
    assert set(rows.sum(axis=1)) == {kept_size(inner, keeps)}
    for row in range(groups):
        assert (axis_mask(inner, keeps, row) == rows[row]).all()
    weight = tensor_mask((right.factors[0], inner), keeps)
    assert weight is not None
    assert (weight == rows).all()
    assert sorted(places_of(right, leaf).flat) == sorted(places_of(left, leaf).flat)
    for index, places in enumerate(places_of(right, leaf)):
        alone = {leaf: Keep(np.arange(leaf.size) != index)}
        assert (np.flatnonzero(~axis_mask(left, alone)) == np.sort(places)).all()


def test_each_row_of_a_shuffle_has_a_tree_of_its_own() -> None:
    space = DimSpace()
    left, right, inner = shuffle(space, 20, 3)
    assert repr(left.factors[0]) == "6+1!+6+1!+6"
    assert repr(right) == f"(3! {inner!r})"
    assert repr(inner) == "[(6 3!)+2!|1!+(6 3!)+1!|2!+(6 3!)]"
    assert axis_mask(inner, {}).all()
    assert not inner.is_atomic
    assert right.family is inner.root
    assert repr(right.at(2)) == "(3! 2!+(6 3!))"
    with pytest.raises(ValueError, match="depends on a dim outside"):
        axis_mask(inner, {leaf: Keep(np.zeros(6, bool)) for leaf in inner.leaves() if leaf.is_free})


@pytest.mark.parametrize(
    ("channels", "groups", "may_differ"),
    [(40, 3, False), (5, 3, True), (9, 8, True)],
    ids=["weights that cannot differ", "no two whole channels in a row", "rows as short as groups"],
)
def test_other_shuffles_stay_blocked(channels: int, groups: int, may_differ: bool) -> None:
    space = DimSpace()
    left, right, _ = shuffle(space, channels, groups, may_differ=may_differ)
    assert not any(leaf.is_free for dim in (left, right) for leaf in dim.leaves())
    assert {leaf.block.reason for leaf in right.leaves() if leaf.block} == {
        f"index orders clash: ({channels} x {groups}) against ({groups} x {channels})"
    }


def test_a_second_reader_has_a_family_of_its_own() -> None:
    space = DimSpace()
    axis = space.product((space.dim(20), space.dim(3)))
    inner = [space.dim(20), space.dim(20)]
    for dim in inner:
        space.unify(axis, space.product((space.dim(3), dim)), "Conv")
    space.settle(lambda clash: resolve_shuffle(space, clash, lambda *_: True))
    free = [{leaf for leaf in dim.leaves() if leaf.is_free} for dim in (axis, *inner)]
    assert free[0] == free[1] == free[2]
    assert len(free[0]) == 1


def test_a_shuffle_of_a_shuffle_is_blocked() -> None:
    space = DimSpace()
    one, two = space.dim(20), space.dim(20)
    space.unify(space.product((space.dim(20), space.dim(3))), space.product((space.dim(3), one)))
    space.unify(space.product((one, space.dim(3))), space.product((space.dim(3), two)))
    space.settle(lambda clash: resolve_shuffle(space, clash, lambda *_: True))
    assert not any(leaf.is_free for leaf in (*one.leaves(), *two.leaves()))
