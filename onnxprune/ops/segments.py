"""Operators that cut axes into segments or put segments end to end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxprune.axes import BoolArray, Dim, Keeps, axis_mask, kept_size
from onnxprune.ops.operator import Operator, Rewrite
from onnxprune.ops.site import Site, Value

_FRONT = -(1 << 31)
"""The end of a backward slice that includes index 0."""


def _others(site: Site, left: tuple[Dim, ...], right: tuple[Dim, ...], axis: int) -> None:
    for place, (a, b) in enumerate(zip(left, right, strict=True)):
        if place != axis:
            site.same(a, b)


def _concat(site: Site) -> None:
    join(site, [value for value in site.inputs if value is not None])


def join(site: Site, parts: Sequence[Value]) -> None:
    """Say that operands lie end to end along an axis of the result; the other axes are the same."""
    y = site.y()
    axis = site.axis(site.attribute("axis", 1), len(y.shape))
    for part in parts:
        _others(site, part.dims, y.dims, axis)
    site.same(y.dims[axis], site.space.concat(part.dims[axis] for part in parts))


def _split(site: Site) -> None:
    x = site.x()
    axis = site.axis(site.attribute("axis", 0), len(x.shape))
    parts = [value for value in site.outputs if value is not None]
    for part in parts:
        _others(site, x.dims, part.dims, axis)
    if len(parts) < len(site.outputs) or (site.has(1) and site.int_list(1) is None):
        for value in (x, *parts):
            reason = "Split into pieces that are not asked for, or computed at run time"
            site.block(value.dims[axis], reason)
        return
    site.same(x.dims[axis], site.space.concat(part.dims[axis] for part in parts))


def _split_sizes(site: Site, keeps: Keeps) -> Rewrite:
    axis = site.axis(site.attribute("axis", 0), len(site.x().shape))
    sizes = [kept_size(y.dims[axis], keeps) for y in site.outputs if y is not None]
    if site.has(1) and site.int_list(1) is None:
        return Rewrite()
    if site.has(1):
        return Rewrite(inputs={1: np.array(sizes, dtype=np.int64)})
    if "split" in site.attributes:
        return Rewrite({"split": sizes})
    return Rewrite()


def _bounds(site: Site) -> list[tuple[int, int, int, int]] | None:
    """(axis, start, stop, step) of a Slice in Python's sense, clamped; None where unknown."""
    rank = len(site.x().shape)
    if any(site.has(place) and site.int_list(place) is None for place in range(1, 5)):
        return None
    starts, ends = _written(site)
    axes = site.int_list(3) or site.ints("axes") or list(range(len(starts)))
    steps = site.int_list(4) or [1] * len(starts)
    bounds: list[tuple[int, int, int, int]] = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = site.axis(axis, rank)
        size = site.x().shape[place]
        bounds.append((place, *slice(start, _open_end(end, step), step).indices(size)))
    return bounds


def _written(site: Site) -> tuple[list[int], list[int]]:
    """The starts and ends of a Slice as they stand in the model."""
    inputs = site.int_list(1) or [], site.int_list(2) or []
    return inputs if site.has(1) else (site.ints("starts") or [], site.ints("ends") or [])


def _open_end(end: int, step: int) -> int | None:
    """ONNX writes "to the very front" of a backward slice as a large negative end."""
    return None if step < 0 and end <= _FRONT + 1 else end


def _slice(site: Site) -> None:
    x, y = site.x(), site.y()
    bounds = _bounds(site)
    if bounds is None:
        axes = _axes_named(site, 3, site.x(1).shape[0])
        _pass_but(site, axes, "Slice with bounds that are computed")
        return
    sliced = {axis: rest for axis, *rest in bounds}
    for place, (dim, out) in enumerate(zip(x.dims, y.dims, strict=True)):
        start, stop, step = sliced.get(place, (0, dim.size, 1))
        if not out.size:
            site.describe(dim)
            continue
        picked = pick_strided(site, dim, start, stop, step)
        if picked is None:
            site.block(dim, f"Slice by steps of {step} that do not divide the axis")
            site.block(out, f"Slice by steps of {step} that do not divide the axis")
        else:
            site.same(out, picked)


def _axes_named(site: Site, index: int, count: int) -> list[int]:
    """The axes that input `index` names; all if it is not known, the first `count` if not there."""
    rank = len(site.x().shape)
    axes = site.int_list(index) if site.has(index) else list(range(count))
    return list(range(rank)) if axes is None else [site.axis(axis, rank) for axis in axes]


def _pass_but(site: Site, axes: list[int], what: str) -> None:
    """Pass all axes but some, of which nobody knows what becomes of them."""
    for place, (dim, out) in enumerate(zip(site.x().dims, site.y().dims, strict=True)):
        if place in axes:
            site.block(dim, f"{what} at run time")
            site.block(out, f"{what} at run time")
        else:
            site.same(out, dim)


def pick_strided(site: Site, dim: Dim, start: int, stop: int, step: int) -> Dim | None:
    """The dim that a slice of `dim` picks; None where there is no tree for it."""
    site.describe(dim)
    count = len(range(start, stop, step))
    if step == 1:
        return _pick_range(site, dim, start, stop)
    if count == 1:
        return pick_index(site, dim, start)
    low = _window(dim.size, start, count, step)
    if low is None:
        return None
    window = _pick_range(site, dim, low, low + count * step)
    rows, phases = site.space.split(window, (count, step), site.name)
    pick_index(site, phases, start - low)
    site.block(phases, "interleaved slices")
    return rows


def _window(size: int, start: int, count: int, step: int) -> int | None:
    """Where the range of ``count * step`` indices begins that a strided slice picks from.

    Slices of one axis with one step agree on it: it begins at a multiple of the step, if it fits.
    """
    low = min(start - start % step, size - count * step) if step > 1 else -1
    return low if low >= 0 else None


def pick_index(site: Site, dim: Dim, index: int) -> Dim:
    """The segment of size 1 at `index`."""
    site.describe(dim)
    return _pick_range(site, dim, index, index + 1)


def _pick_range(site: Site, dim: Dim, start: int, stop: int) -> Dim:
    cuts = sorted({start, stop} - {0, dim.size})
    return site.space.cut(dim, cuts)[1 if start else 0] if cuts else dim


def _slice_bounds(site: Site, keeps: Keeps) -> Rewrite:
    """Move the bounds to where the same elements now are.

    Those of axes that lose nothing stay as they were written: their size may be dynamic.
    """
    bounds = _bounds(site)
    if bounds is None:
        return Rewrite()
    starts, ends = _written(site)
    touched = False
    for place, (axis, *rest) in enumerate(bounds):
        mask = axis_mask(site.x().dims[axis], keeps, row=0)
        if not mask.all():
            starts[place], ends[place] = _moved(mask, *rest)
            touched = True
    if not touched:
        return Rewrite()
    if not site.has(1):
        return Rewrite({"starts": starts, "ends": ends})
    values = {1: starts, 2: ends}
    return Rewrite(inputs={i: np.array(v, dtype=np.int64) for i, v in values.items()})


def _moved(mask: BoolArray, start: int, stop: int, step: int) -> tuple[int, int]:
    """Where the same elements start and end among those that stay."""
    before = [0, *np.cumsum(mask).tolist()]
    count = len(range(start, stop, step))
    low = _window(len(mask), start, count, step)
    if step == 1:
        return before[start], before[stop]
    if count > 1 and low is not None:
        return before[low] + start - low, before[low + count * step]
    start = before[start] if count == 1 else start
    stop = start + (1 if step > 0 else -1) if count == 1 else stop
    return start, stop if stop >= 0 else _FRONT


def _pad(site: Site) -> None:
    x, y = site.x(), site.y()
    rank = len(x.shape)
    pads = site.int_list(1) if site.has(1) else site.ints("pads") or site.ints("paddings")
    axes = site.int_list(3) if site.has(3) else list(range(rank))
    if pads is None or axes is None:
        _pass_but(site, _axes_named(site, 3, rank), "Pad by amounts that are computed")
        return
    amounts = {site.axis(axis, rank): (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    for place, (dim, out) in enumerate(zip(x.dims, y.dims, strict=True)):
        before, after = amounts.get(place, (0, 0))
        filled = site.attribute("mode", "constant") == "constant"
        if min(before, after) < 0 or ((before or after) and not filled):
            site.block(dim, "Pad that crops, reflects or repeats")
            site.block(out, "Pad that crops, reflects or repeats")
            continue
        ends = [site.space.dim(before, "padding"), site.space.dim(after, "padding")]
        site.same(out, site.space.concat((ends[0], dim, ends[1])))
        for end in ends:
            if end.size:
                site.space.block(end, "padding", site.name)


OPERATORS = (
    Operator("Concat", _concat),
    Operator("Split", _split, rewrite=_split_sizes),
    Operator("Slice", _slice, rewrite=_slice_bounds),
    Operator("Pad", _pad),
)
