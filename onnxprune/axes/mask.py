"""Keep masks: what stays of an axis, given what stays of each leaf.

A removal is a boolean *keep* mask for each atomic dim. The mask of an axis follows from its tree:
product: outer AND of the factors' masks, raveled; concatenation: the segments' masks end to end.
A *ragged* mask of a leaf ``v`` over a leaf ``g`` has one row for each index of ``g``, with equal
counts; that of a family follows from its members'. It has a meaning where ``g`` stands outside
``v`` in the same product, or is the outermost factor of another axis of the same tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from onnxprune.axes.dim import Dim
from onnxprune.axes.places import sum_onto

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Keep:
    """What stays of one leaf.

    Attributes:
        mask: bool, shape ``[v]``, or ``[g, v]`` with equal row sums when ragged.
        over: the leaf ``g`` of a ragged mask.
    """

    mask: BoolArray
    over: Dim | None = None

    @property
    def count(self) -> int:
        """Number of indices kept (in each row, when ragged)."""
        return int(np.count_nonzero(self.mask if self.over is None else self.mask[0]))

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is removed."""
        return bool(self.mask.all())


Keeps = Mapping[Dim, Keep]
"""Keep masks by leaf (the root of an atomic class); a leaf that is absent keeps everything."""


def is_touched(dim: Dim, keeps: Keeps) -> bool:
    """Whether any index of `dim` is removed."""
    return any(leaf in keeps and not keeps[leaf].keeps_all for leaf in dim.leaves())


def axis_mask(dim: Dim, keeps: Keeps, row: int | None = None) -> BoolArray:
    """The keep mask of an axis.

    Args:
        dim: the axis, of `n` indices.
        keeps: keep masks of the leaves.
        row: of masks that are ragged over another axis, the row to take.

    Returns:
        Bool array of shape ``[n]``.

    Raises:
        ValueError: a leaf is ragged over another axis, and no row is given.
    """
    root = dim.root
    if root.segments:
        return np.concatenate([axis_mask(part, keeps, row) for part in root.walk_segments()])
    if root.members:
        if row is None:
            if not is_touched(root, keeps):
                return np.ones(root.size, dtype=np.bool_)
            raise ValueError(f"{root!r} depends on a dim outside of its axis")
        return axis_mask(root.members[row], keeps)
    factors = root.walk_factors()
    places = {factor.root: place for place, factor in enumerate(factors)}
    mask = np.ones([factor.size for factor in factors], dtype=np.bool_)
    for place, factor in enumerate(factors):
        keep = keeps.get(factor)
        if factor.over is not None and (outer := places.get(factor.over.root, place)) < place:
            table = np.stack([axis_mask(member, keeps) for member in factor.members])
            mask &= _spread(table, len(factors), outer, place)
        elif not factor.is_atomic:
            mask &= _spread(axis_mask(factor, keeps, row), len(factors), place)
        elif keep is None:
            continue
        elif keep.over is None:
            mask &= _spread(keep.mask, len(factors), place)
        elif (outer := places.get(keep.over.root, place)) < place:
            mask &= _spread(keep.mask, len(factors), outer, place)
        elif row is not None:
            mask &= _spread(keep.mask[row], len(factors), place)
        else:
            raise ValueError(f"{factor!r} is ragged over a dim outside of its axis {root!r}")
    return mask.reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What one axis of a tensor keeps for each block of another.

    Attributes:
        by: the other axis; block ``i`` are the indices with index ``i`` of its outermost factor.
        masks: bool, shape ``[g, n]``, with equal row sums.
    """

    by: int
    masks: BoolArray


def ragged_rows(dims: Sequence[Dim], keeps: Keeps) -> dict[int, Rows]:
    """The axes of a tensor that keep different indices for each block of another axis.

    Args:
        dims: the tensor's axes.
        keeps: keep masks of the leaves.

    Raises:
        ValueError: no axis has the blocks that a leaf is ragged over.
    """
    rows: dict[int, Rows] = {}
    for axis, dim in enumerate(dims):
        over = _partner_elsewhere(dim.root, keeps)
        if over is None:
            continue
        places = [
            place
            for place, other in enumerate(dims)
            if place != axis and other.root.walk_factors()[0] is over
        ]
        if not places:
            raise ValueError(f"{dim!r} is ragged over blocks that no other axis has")
        masks = [axis_mask(dim, keeps, row) for row in range(over.size)]
        rows[axis] = Rows(places[0], np.stack(masks))
    return rows


def _partner_elsewhere(root: Dim, keeps: Keeps) -> Dim | None:
    """The leaf on another axis that the mask of an axis depends on, if any."""
    factors = root.walk_factors()
    for place, factor in enumerate(factors):
        parts = factor.walk_segments() if factor.segments else ()
        for part in parts:
            over = _partner_elsewhere(part.root, keeps)
            if over is not None:
                return over
        keep = keeps.get(factor)
        over = factor.over if factor.members and is_touched(factor, keeps) else None
        over = keep.over if keep is not None else over
        if over is not None and over.root not in factors[:place]:
            return over.root
    return None


def tensor_mask(dims: Sequence[Dim], keeps: Keeps) -> BoolArray | None:
    """The mask of a tensor, of size 1 along axes that do not matter; None if all is kept.

    Args:
        dims: the tensor's axes.
        keeps: keep masks of the leaves.

    Raises:
        ValueError: as `ragged_rows`.
    """
    touched = [axis for axis, dim in enumerate(dims) if is_touched(dim, keeps)]
    if not touched:
        return None
    ragged = ragged_rows(dims, keeps)
    mask = np.ones([1] * len(dims), dtype=np.bool_)
    for axis in touched:
        if axis not in ragged:
            mask = mask & _spread(axis_mask(dims[axis], keeps), len(dims), axis)
            continue
        rows = ragged[axis]
        blocks = np.repeat(rows.masks, dims[rows.by].size // len(rows.masks), axis=0)
        in_order = blocks if rows.by < axis else blocks.T
        mask = mask & _spread(in_order, len(dims), *sorted((rows.by, axis)))
    return mask


def kept_size(dim: Dim, keeps: Keeps) -> int:
    """Number of indices of `dim` that stay; a leaf ragged over another axis counts one row."""
    root = dim.root
    if root.segments:
        return sum(kept_size(part, keeps) for part in root.walk_segments())
    if root.factors:
        return prod(kept_size(part, keeps) for part in root.walk_factors())
    if root.members:
        return kept_size(root.members[0], keeps)
    return keeps[root].count if root in keeps else root.size


def _spread(mask: BoolArray, rank: int, *axes: int) -> BoolArray:
    shape = [1] * rank
    for axis, size in zip(axes, mask.shape, strict=True):
        shape[axis] = size
    return mask.reshape(shape)


def leaf_masks(dim: Dim, mask: BoolArray, over: Mapping[Dim, Dim] | None = None) -> dict[Dim, Keep]:
    """Read the leaves' keep masks off the mask of an axis.

    An index of a leaf stays if anything that it leads to stays.

    Args:
        dim: the axis.
        mask: its keep mask, shape ``[n]``.
        over: leaves whose selection may be ragged, with the leaf it depends on.
    """
    counts = mask.astype(np.float64)
    keeps: dict[Dim, Keep] = {}
    for leaf in dim.leaves():
        partner = (over or {}).get(leaf)
        if partner is not None and partner in dim.root.walk_factors():
            table = sum_onto(dim, counts, leaf, partner) > 0
            if not (table == table[0]).all():
                keeps[leaf] = Keep(table, partner)
                continue
            keeps[leaf] = Keep(table[0])
        else:
            keeps[leaf] = Keep(sum_onto(dim, counts, leaf) > 0)
    return {leaf: keep for leaf, keep in keeps.items() if not keep.keeps_all}
