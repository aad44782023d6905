"""Keep masks of axes, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.axes import (
    Dim,
    DimSpace,
    Keep,
    axis_mask,
    is_touched,
    kept_size,
    leaf_masks,
    ragged_rows,
    sum_onto,
    tensor_mask,
)
from tests.axes.trees import LONG, Problem, free_leaves, problems, solve


def keep(*bits: int) -> Keep:
    return Keep(np.array(bits, dtype=np.bool_))


def test_a_product_keeps_what_all_its_factors_keep() -> None:
    space = DimSpace()
    a, b = space.dim(2), space.dim(3)
    mask = axis_mask(space.product((a, b)), {a: keep(0, 1), b: keep(1, 0, 1)})
    assert mask.tolist() == [False, False, False, True, False, True]


def test_a_concatenation_keeps_what_its_segments_keep() -> None:
    space = DimSpace()
    a, b = space.dim(2), space.dim(3)
    mask = axis_mask(space.concat((a, b)), {a: keep(0, 1)})
    assert mask.tolist() == [False, True, True, True, True]


def test_a_diagonal_keeps_an_index_on_both_sides() -> None:
    space = DimSpace()
    a = space.dim(2)
    assert axis_mask(space.product((a, a)), {a: keep(0, 1)}).tolist() == [False] * 3 + [True]


def test_a_ragged_mask_differs_from_row_to_row() -> None:
    space = DimSpace()
    g, v = space.dim(2), space.dim(3)
    ragged = Keep(np.array([[1, 1, 0], [0, 1, 1]], dtype=np.bool_), g)
    axis = space.product((g, space.dim(2), v))
    mask = axis_mask(axis, {v: ragged}).reshape(2, 2, 3)
    assert mask.tolist() == [[[1, 1, 0]] * 2, [[0, 1, 1]] * 2]
    assert ragged.count == 2
    assert kept_size(axis, {v: ragged}) == 8
    assert kept_size(v, {v: ragged}) == 2
    assert axis_mask(axis, {v: ragged, g: keep(0, 1)}).sum() == 4


def test_a_ragged_mask_needs_its_partner_outside() -> None:
    space = DimSpace()
    g, v = space.dim(2), space.dim(3)
    ragged = {v: Keep(np.array([[1, 1, 0], [0, 1, 1]], dtype=np.bool_), g)}
    for axis in (v, space.product((v, g)), space.product((space.dim(2), v))):
        with pytest.raises(ValueError, match="ragged over a dim outside of its axis"):
            axis_mask(axis, ragged)


def test_rows_follow_the_blocks_of_another_axis() -> None:
    space = DimSpace()
    g, v, gates, inner = (space.dim(size) for size in (2, 3, 2, 2))
    masks = np.array([[1, 1, 0], [0, 1, 1]], dtype=np.bool_)
    keeps = {v: Keep(masks, g)}
    weight = (space.product((g, inner)), space.product((gates, v)), space.dim(5))
    (axis,) = ragged_rows(weight, keeps)
    rows = ragged_rows(weight, keeps)[axis]
    assert (axis, rows.by) == (1, 0)
    assert rows.masks.astype(int).tolist() == [[1, 1, 0, 1, 1, 0], [0, 1, 1, 0, 1, 1]]
    mask = tensor_mask(weight, keeps)
    assert mask is not None
    assert mask.shape == (4, 6, 1)
    assert (mask[:, :, 0] == np.repeat(rows.masks, 2, axis=0)).all()
    turned = tensor_mask(weight[::-1], keeps)
    assert turned is not None
    assert (turned == mask.transpose()).all()
    assert kept_size(weight[1], keeps) == 4


def test_rows_and_masks_of_whole_axes_meet_on_one_tensor() -> None:
    space = DimSpace()
    g, v = space.dim(2), space.dim(3)
    keeps = {v: Keep(np.array([[1, 1, 0], [0, 1, 1]], dtype=np.bool_), g), g: keep(1, 0)}
    mask = tensor_mask((g, v), keeps)
    assert mask is not None
    assert mask.astype(int).tolist() == [[1, 1, 0], [0, 0, 0]]
    concat = tensor_mask((g, space.concat((v, space.dim(1)))), keeps)
    assert concat is not None
    assert concat.astype(int).tolist() == [[1, 1, 0, 1], [0, 0, 0, 0]]
    assert tensor_mask((space.dim(2), space.dim(4)), keeps) is None


def test_rows_need_an_axis_with_the_blocks() -> None:
    space = DimSpace()
    g, v = space.dim(2), space.dim(3)
    keeps = {v: Keep(np.array([[1, 1, 0], [0, 1, 1]], dtype=np.bool_), g)}
    with pytest.raises(ValueError, match="blocks that no other axis has"):
        tensor_mask((space.dim(2), v), keeps)


def test_ragged_masks_are_read_off_an_axis() -> None:
    space = DimSpace()
    g, v = space.dim(2), space.dim(3)
    axis = space.product((g, v))
    rows = np.array([[1, 1, 0], [0, 1, 1]], dtype=np.bool_)
    (found,) = leaf_masks(axis, rows.reshape(-1), {v: g}).values()
    assert found.over is g
    assert (found.mask == rows).all()
    even = np.array([[1, 1, 0]] * 2, dtype=np.bool_)
    (found,) = leaf_masks(axis, even.reshape(-1), {v: g}).values()
    assert found.over is None
    assert found.mask.tolist() == [True, True, False]


def test_sums_tell_the_partner_apart() -> None:
    space = DimSpace()
    g, v = space.dim(2), space.dim(3)
    values = np.arange(6.0)
    table = [[0, 1, 2], [3, 4, 5]]
    assert sum_onto(space.product((g, v)), values, v, g).tolist() == table
    transposed = np.array(table, dtype=np.float64).T.reshape(-1)
    assert sum_onto(space.product((v, g)), transposed, v, g).tolist() == table
    assert sum_onto(space.product((g, v)), values, v).tolist() == [3, 5, 7]
    assert sum_onto(space.concat((v, v)), values, v).tolist() == [3, 5, 7]


def test_an_axis_is_touched_where_one_of_its_leaves_loses_an_index() -> None:
    space = DimSpace()
    a, b = space.dim(2), space.dim(3)
    axis = space.product((a, b))
    assert not is_touched(axis, {})
    assert not is_touched(axis, {a: keep(1, 1)})
    assert is_touched(axis, {b: keep(1, 0, 1)})


@settings(max_examples=20_000 if LONG else 250, deadline=None)
@given(problems(), st.integers(0, 1000))
def test_leaf_masks_undo_axis_mask(problem: Problem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for axis in solve(problem).axes:
        keeps: dict[Dim, Keep] = {}
        for leaf in free_leaves([axis]):
            mask = rng.random(leaf.size) < 0.6
            mask[rng.integers(leaf.size)] = True
            keeps[leaf] = Keep(mask)
        mask = axis_mask(axis, keeps)
        found = leaf_masks(axis, mask)
        again = {leaf: found.get(leaf, Keep(np.ones(leaf.size, dtype=np.bool_))) for leaf in keeps}
        assert (axis_mask(axis, again) == mask).all()


@settings(max_examples=20_000 if LONG else 300, deadline=None)
@given(problems(), st.integers(0, 1000))
def test_sums_of_a_mask_count_what_each_index_leads_to(problem: Problem, seed: int) -> None:
    """Removing an index takes as much from an axis as its sum says, unless it is met twice."""
    rng = np.random.default_rng(seed)
    for axis in solve(problem).axes:
        for leaf in free_leaves([axis]):
            counts = sum_onto(axis, np.ones(axis.size), leaf)
            unit = int(rng.integers(leaf.size))
            gone = np.flatnonzero(~axis_mask(axis, {leaf: Keep(np.arange(leaf.size) != unit)}))
            assert counts[unit] >= gone.size > 0
            assert (counts == counts[0]).all()
