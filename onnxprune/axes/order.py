"""Order: where the indices of an axis come from, given a permutation of its leaves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprune.axes.dim import Dim
from onnxprune.axes.places import Places

Orders = Mapping[Dim, Places]
"""Permutations by leaf (the root of an atomic class): the old index of each new one."""


def axis_order(dim: Dim, orders: Orders) -> Places | None:
    """The old index of each new one along an axis; None where nothing moves.

    Args:
        dim: the axis, of `n` indices.
        orders: permutations of leaves; none of a family.

    Returns:
        Shape ``[n]``.
    """
    if not any(leaf in orders for leaf in dim.leaves()):
        return None
    return _order(dim.root, orders)


def _order(root: Dim, orders: Orders) -> Places:
    if root in orders:
        return orders[root]
    order = np.arange(root.size)
    if root.segments:
        parts = [part.root for part in root.walk_segments()]
        starts = np.cumsum([0, *(part.size for part in parts)])
        found = [_order(part, orders) + start for part, start in zip(parts, starts, strict=False)]
        return np.concatenate(found)
    if root.factors:
        factors = [factor.root for factor in root.walk_factors()]
        grid = order.reshape([factor.size for factor in factors])
        for axis, factor in enumerate(factors):
            grid = grid.take(_order(factor, orders), axis=axis)
        return grid.reshape(-1)
    return order
