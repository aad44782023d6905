"""Order: where the indices of an axis come from, given a permutation of its leaves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprune.axes.dim import Dim
from onnxprune.axes.places import Places, places_of

Orders = Mapping[Dim, Places]
"""Permutations by leaf (the root of an atomic class): the old index of each new one."""


def axis_order(dim: Dim, orders: Orders) -> Places | None:
    """The old index of each new one along an axis; None where nothing moves.

    Args:
        dim: the axis, of `n` indices.
        orders: permutations of leaves.

    Returns:
        Shape ``[n]``.
    """
    leaves = [leaf for leaf in dim.leaves() if leaf in orders]
    if not leaves:
        return None
    order = np.arange(dim.size)
    for leaf in leaves:
        places = places_of(dim, leaf)
        moved = order.copy()
        moved[places] = order[places[orders[leaf]]]
        order = moved
    return order
