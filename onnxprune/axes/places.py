"""Where the indices of a leaf lie on an axis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from onnxprune.axes.dim import Dim

Places = npt.NDArray[np.intp]


def places_of(dim: Dim, leaf: Dim, over: Dim | None = None) -> Places:
    """The indices of an axis that belong to each index of a leaf, in order.

    Args:
        dim: the axis.
        leaf: an atomic root that the axis carries, each of its indices equally often. Of a family
            whose leaf stands on another axis, the places in all of its members.
        over: another leaf; with it the result tells its indices apart.

    Returns:
        Shape ``[v, m]``, or ``[g, v, m]`` with `over`; all rows are equal where the axis does not
        carry it.
    """
    places = _places(dim.root, leaf)
    if over is None:
        return places
    labels = np.full(dim.size, -1)
    others = _places(dim.root, over)
    labels[others] = np.arange(len(others))[:, None]
    if not others.size:
        return np.broadcast_to(places, (over.size, *places.shape))
    order = np.argsort(labels[places], axis=1, kind="stable")
    blocks = np.take_along_axis(places, order, axis=1).reshape(leaf.size, over.size, -1)
    return blocks.swapaxes(0, 1)


def _places(root: Dim, leaf: Dim) -> Places:
    if root is leaf:
        return np.arange(leaf.size)[:, None]
    found = [np.empty((leaf.size, 0), np.intp)]
    if root.segments:
        start = 0
        for segment in root.walk_segments():
            found.append(_places(segment.root, leaf) + start)
            start += segment.size
    elif not root.is_atomic:
        factors = root.walk_factors()
        grid = np.arange(root.size).reshape([factor.size for factor in factors])
        for axis, factor in enumerate(factors):
            for cells, tree in _trees(factor, grid, factors):
                inner = _places(tree.root, leaf)
                rows = np.moveaxis(cells.take(inner, axis=axis), (axis, axis + 1), (0, 1))
                found.append(rows.reshape(leaf.size, -1))
    return np.concatenate(found, axis=1)


def _trees(factor: Dim, grid: Places, factors: list[Dim]) -> Iterator[tuple[Places, Dim]]:
    """The tree of a factor; of a family every member, with the part of the grid that it is for."""
    if not factor.members:
        yield grid, factor
    outer = next((i for i, other in enumerate(factors) if other is factor.over), None)
    for index, member in enumerate(factor.members):
        yield grid if outer is None else grid.take([index], axis=outer), member


def sum_onto(
    dim: Dim, values: npt.NDArray[np.float64], leaf: Dim, over: Dim | None = None
) -> npt.NDArray[np.float64]:
    """Add up a quantity of an axis for each index of a leaf.

    Args:
        dim: the axis, of `n` indices.
        values: shape ``[n]``.
        leaf: an atomic root.
        over: see `places_of`.

    Returns:
        Shape ``[v]``, or ``[g, v]`` with `over`.
    """
    total: npt.NDArray[np.float64] = values[places_of(dim, leaf, over)].sum(axis=-1)
    return total
