"""Clashes that are shuffles: the rows of one grouping, cut out of another.

A channel shuffle between grouped convolutions makes one axis both ``(c g)`` and ``(h d)``: `g` and
`h` index groups, `d` the channels that one group reads. Where neither divides the other, the axis
cannot be a product of both. But the rows of ``(h d)`` are intervals of ``(c g)``, and a removal
that takes as much from each row is one of both. So `c` is cut where rows begin; what then lies in
one row as a whole is tied to its counterparts in the other rows; and `d` becomes a family over `h`,
with a tree for each row. What a border of rows crosses, `g` and `h` stay whole.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from onnxprune.axes.dim import Dim
from onnxprune.axes.space import Clash, DimSpace

KEPT_WHOLE = "groups between which channels are shuffled"
"""Why `g` and `h` lose none: channels would move from group to group."""


def resolve_shuffle(space: DimSpace, clash: Clash, may_differ: Callable[[Dim, Dim], bool]) -> bool:
    """Refine the trees of a clash, if it is a shuffle.

    Args:
        space: where the dims live.
        clash: it waits there.
        may_differ: whether a leaf may keep other indices for each index of another leaf.

    Returns:
        Whether it was; if not, nothing has changed.
    """
    for run, rows in (clash.runs, clash.runs[::-1]):
        outer = run[0].root
        groups, inner = rows[0].root, rows[-1].root
        if (
            len(rows) == 2
            and groups.size < outer.size
            and groups.is_atomic
            and inner.is_free
            and all(factor.family is None for factor in run)
            and any(leaf.is_free for leaf in outer.leaves())
            and _whole_units(run, inner.size) > 1
            and may_differ(inner, groups)
        ):
            _refine(space, run, groups, inner, clash.where)
            return True
    return False


def _whole_units(run: tuple[Dim, ...], length: int) -> int:
    """How many indices of the outermost factor lie in each row of `length` as a whole, at least."""
    step = prod(factor.size for factor in run[1:])
    whole = step * run[0].size
    return min((low + length) // step - _ceil(low, step) for low in range(0, whole, length))


def _refine(space: DimSpace, run: tuple[Dim, ...], groups: Dim, inner: Dim, where: str) -> None:
    outer, length = run[0], inner.size
    step = prod(factor.size for factor in run[1:])
    units = _whole_units(run, length)
    starts = [_ceil(low, step) for low in range(0, step * outer.size, length)]
    bounds = sorted({*starts, *(start + units for start in starts)} - {0, outer.size})
    pieces = dict(zip((0, *bounds), space.cut(outer, bounds, where), strict=True))
    for low, piece in pieces.items():
        if low in starts:
            space.unify(pieces[0], piece, where)
        else:
            space.block(piece, KEPT_WHOLE, where)
    rows: list[Dim] = []
    for row, start in enumerate(starts):
        before = start * step - row * length
        ends = [space.dim(before), space.dim(length - before - units * step)]
        for end in ends:
            if end.size:
                space.block(end, KEPT_WHOLE, where)
        rows.append(space.concat((ends[0], space.product((pieces[start], *run[1:])), ends[1])))
    for factor in (groups, *run[1:]):
        space.block(factor, KEPT_WHOLE, where)
    space.become_family(inner, rows, groups)


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)
