"""Operators that repeat elements or make tensors from sizes."""

from __future__ import annotations

import numpy as np

from onnxprune.axes import Keeps, kept_size
from onnxprune.ops.layout import block_computed, target_sizes
from onnxprune.ops.operator import Operator, Rewrite
from onnxprune.ops.site import Site


def _expand(site: Site) -> None:
    """An axis of size 1 becomes a new one; the others are kept."""
    x, y = site.x(), site.y()
    for out in y.dims:
        site.describe(out)
    for dim, out in zip(x.dims[::-1], y.dims[::-1], strict=False):
        site.same(dim, out)
    block_computed(site, 1)


def _tile(site: Site) -> None:
    """Each axis repeats as a whole: ``(repeats n)``, outermost the repeat.

    An axis of one index that is repeated is a new one, as with Expand.
    """
    x, y = site.x(), site.y()
    for dim, out in zip(x.dims, y.dims, strict=True):
        if not dim.size or not out.size:
            continue
        repeats = site.space.dim(out.size // dim.size, (site.name, "repeats"))
        site.same(out, site.space.product((repeats, dim)))
        if dim.size > 1:
            site.block(repeats, "repeats of Tile")
        elif site.int_list(1) is None:
            site.block(repeats, "a size that is computed at run time")


def _tile_repeats(site: Site, keeps: Keeps) -> Rewrite:
    old = site.int_list(1)
    if old is None:
        return Rewrite()
    x, y = site.x(), site.y()
    new = [
        kept_size(out, keeps) if dim.size == 1 else times
        for dim, out, times in zip(x.dims, y.dims, old, strict=True)
    ]
    return Rewrite(inputs={1: np.array(new, dtype=np.int64)} if new != old else {})


def _resize(site: Site) -> None:
    """Axes that keep their size, index by index, pass; resized ones are spatial."""
    x, y = site.x(), site.y()
    for index in filter(site.has, range(1, len(site.inputs))):
        site.block_list(index)
    places = {axis: place for place, axis in enumerate(_listed_axes(site))}
    if _has_sizes(site):
        block_computed(site, 3)
    for axis, (dim, out) in enumerate(zip(x.dims, y.dims, strict=True)):
        if dim.size == out.size and not (axis in places and _is_scaled(site, places[axis])):
            site.same(dim, out)
        else:
            site.block(dim, "resized axis")
            site.block(out, "resized axis")


def _has_sizes(site: Site) -> bool:
    return site.op_type == "Resize" and site.has(3) and bool(site.x(3).shape[0])


def _listed_axes(site: Site) -> list[int]:
    """The axes that scales, sizes and regions are given for, in that order."""
    rank = len(site.x().shape)
    axes = site.ints("axes")
    return list(range(rank)) if axes is None else [site.axis(axis, rank) for axis in axes]


def _is_scaled(site: Site, place: int) -> bool:
    """Whether an axis is resized though it may keep its size.

    A factor may be as near to 1 as that; a region of it may be cropped and stretched; and where
    proportions are kept, what is asked of other axes decides.

    Args:
        site: the operator.
        place: of the axis among those that scales are given for.
    """
    if site.attribute("coordinate_transformation_mode", "") == "tf_crop_and_resize":
        region = site.data(1)
        whole = region is not None and tuple(region.reshape(2, -1)[:, place]) == (0, 1)
        if not whole:
            return True
    if _has_sizes(site):
        return site.attribute("keep_aspect_ratio_policy", "stretch") != "stretch"
    scales = site.data(2 if site.op_type == "Resize" and site.version > 10 else 1)
    if scales is None:
        return site.attribute("scales", [1.0] * (place + 1))[place] != 1
    return bool(scales[place] != 1)


def _resize_sizes(site: Site, keeps: Keeps) -> Rewrite:
    """New sizes of the axes that they are given for."""
    old = site.int_list(3) if _has_sizes(site) else None
    if old is None:
        return Rewrite()
    dims = [site.y().dims[axis] for axis in _listed_axes(site)]
    new = [
        kept_size(dim, keeps) if size == dim.size else size
        for size, dim in zip(old, dims, strict=True)
    ]
    return Rewrite(inputs={3: np.array(new, dtype=np.int64)} if new != old else {})


def _from_shape(site: Site) -> None:
    """The result has fresh axes: pruning one patches the size in the shape."""
    for out in site.y().dims:
        site.describe(out)
    block_computed(site, 0)


def _values(site: Site) -> None:
    """A shape or a range is a list of values: its only axis is no channel."""
    for dim in site.y().dims:
        site.block(dim, f"{site.op_type}: a list of values")


def _shape(site: Site) -> None:
    """Reading the sizes of a tensor says nothing about its axes.

    The canonical form lets sizes that are read as values keep what they were.
    """
    for dim in site.x().dims:
        site.describe(dim)
    _values(site)


def _shape_of_result(site: Site, keeps: Keeps) -> Rewrite:
    old = site.int_list(0)
    if old is None:
        return Rewrite()
    dims = site.y().dims
    new = [size if size < 0 else kept_size(dim, keeps) for size, dim in zip(old, dims, strict=True)]
    return Rewrite(inputs={0: np.array(new, dtype=np.int64)} if new != old else {})


OPERATORS = (
    Operator("Expand", _expand, since=8, rewrite=target_sizes),
    Operator("Tile", _tile, since=6, rewrite=_tile_repeats),
    Operator("Resize", _resize, since=10, rewrite=_resize_sizes),
    Operator("Upsample", _resize, since=7),
    Operator("ConstantOfShape", _from_shape, since=9, rewrite=_shape_of_result),
    Operator("Shape", _shape, tells_sizes=True),
    Operator("Size", _values),
    Operator("Range", _values, since=11),
)
