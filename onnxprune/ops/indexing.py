"""Operators that look elements up by index."""

from __future__ import annotations

import numpy as np

from onnxprune.axes import Keeps, axis_mask
from onnxprune.ops.operator import Operator, Rewrite
from onnxprune.ops.segments import pick_index
from onnxprune.ops.site import Site

_RUNTIME = "an index along this axis is a value at run time"


def _gather(site: Site) -> None:
    """The axis looked up is replaced by the axes of the indices; the others stay."""
    x, indices, y = site.x(), site.x(1), site.y()
    axis = site.axis(site.attribute("axis", 0), len(x.shape))
    rank = len(indices.shape)
    rest = (*y.dims[:axis], *y.dims[axis + rank :])
    for dim, out in zip((*x.dims[:axis], *x.dims[axis + 1 :]), rest, strict=True):
        site.same(dim, out)
    for dim, out in zip(indices.dims, y.dims[axis : axis + rank], strict=True):
        site.same(dim, out)
    looked_up = x.dims[axis]
    data = site.int_list(1)
    if data is not None and len(data) == 1:
        pick_index(site, looked_up, site.axis(data[0], looked_up.size))
        return
    site.role("vocabulary", looked_up, 0)
    reason = _RUNTIME if data is None else "looked up by constant indices"
    site.block(looked_up, reason, inherent=data is None)


def _gather_index(site: Site, keeps: Keeps) -> Rewrite:
    """A constant index moves to where the same element now is."""
    x = site.x()
    axis = site.axis(site.attribute("axis", 0), len(x.shape))
    data = site.data(1)
    mask = axis_mask(x.dims[axis], keeps, row=0)
    if data is None or data.size != 1 or mask.all():
        return Rewrite()
    index = site.axis(int(data.reshape(-1)[0]), len(mask))
    moved = int(np.count_nonzero(mask[:index]))
    return Rewrite(inputs={1: np.full(data.shape, moved, dtype=np.int64)})


def _gather_elements(site: Site) -> None:
    """Every axis but the one looked up is addressed by position in data and indices alike."""
    x, indices, y = site.x(), site.x(1), site.y()
    axis = site.axis(site.attribute("axis", 0), len(x.shape))
    for place, (dim, index, out) in enumerate(zip(x.dims, indices.dims, y.dims, strict=True)):
        site.same(index, out)
        if place == axis:
            site.block(dim, _RUNTIME)
        elif dim.size == index.size:
            site.same(dim, index)
        else:
            for part in (dim, index):
                site.block(part, "indices cover only a part of the axis")


def _scatter_elements(site: Site) -> None:
    """Every axis but the one written is addressed by position in all operands alike."""
    x, indices, updates, y = site.x(), site.x(1), site.x(2), site.y()
    axis = site.axis(site.attribute("axis", 0), len(x.shape))
    operands = zip(x.dims, indices.dims, updates.dims, y.dims, strict=True)
    for place, (dim, index, update, out) in enumerate(operands):
        site.same(dim, out)
        site.same(index, update)
        if place == axis:
            site.block(dim, _RUNTIME)
            site.block(index, "one update for each index")
        elif dim.size == index.size:
            site.same(dim, index)
        else:
            for part in (dim, index):
                site.block(part, "indices cover only a part of the axis")


def _gather_nd(site: Site) -> None:
    """The leading axes are looked up; those behind them stay."""
    x, indices, y = site.x(), site.x(1), site.y()
    batch = site.attribute("batch_dims", 0)
    depth = indices.shape[-1]
    for dim, index, out in zip(x.dims[:batch], indices.dims[:batch], y.dims[:batch], strict=True):
        site.same(dim, out)
        site.same(index, out)
    for dim in x.dims[batch : batch + depth]:
        site.block(dim, _RUNTIME)
    tail = x.dims[batch + depth :]
    for dim, out in zip(tail, y.dims[len(y.dims) - len(tail) :], strict=True):
        site.same(dim, out)
    middle = indices.dims[batch:-1]
    for index, out in zip(middle, y.dims[batch : batch + len(middle)], strict=True):
        site.same(index, out)
    site.block(indices.dims[-1], _RUNTIME)


def _scatter_nd(site: Site) -> None:
    """The leading axes are written by index; those behind them are kept.

    An update left out would leave the old elements in place.
    """
    x, indices, updates, y = site.x(), site.x(1), site.x(2), site.y()
    depth = indices.shape[-1]
    for place, (dim, out) in enumerate(zip(x.dims, y.dims, strict=True)):
        site.same(dim, out)
        if place < depth:
            site.block(dim, _RUNTIME)
    tail = x.dims[depth:]
    for dim, update in zip(tail, updates.dims[len(updates.dims) - len(tail) :], strict=True):
        site.same(dim, update)
    head = indices.dims[:-1]
    for index, update in zip(head, updates.dims[: len(head)], strict=True):
        site.same(index, update)
        site.block(index, "one update for each index")
    site.block(indices.dims[-1], _RUNTIME)


def _arg(site: Site) -> None:
    """The position of an extreme value: its index becomes a value."""
    x, y = site.x(), site.y()
    axis = site.axis(site.attribute("axis", 0), len(x.shape))
    keep = site.attribute("keepdims", 1)
    rest = [dim for place, dim in enumerate(x.dims) if place != axis]
    out = [dim for place, dim in enumerate(y.dims) if not keep or place != axis]
    for dim, other in zip(rest, out, strict=True):
        site.same(dim, other)
    site.block(x.dims[axis], "the index of an extreme value becomes a value")


def _passing(site: Site, axis: int, reason: str) -> None:
    """All results have the axes of the first operand, but for one that is blocked."""
    for value in (site.x(), *(value for value in site.outputs if value is not None)):
        for place, (dim, out) in enumerate(zip(site.x().dims, value.dims, strict=True)):
            if place == axis:
                site.block(out, reason)
            else:
                site.same(dim, out)


def _top_k(site: Site) -> None:
    axis = site.axis(site.attribute("axis", -1), len(site.x().shape))
    _passing(site, axis, "the indices of the largest values become values")
    if site.has(1):
        site.block_list(1)


def _compress(site: Site) -> None:
    """What a condition picks along one axis, or of all elements in a row."""
    if "axis" in site.attributes:
        _passing(site, site.axis(site.attribute("axis", 0), len(site.x().shape)), _RUNTIME)
        site.block_list(1)
    else:
        site.block_all(_RUNTIME)


def _one_hot(site: Site) -> None:
    """The indices get one more axis, whose size is a value."""
    x, y = site.x(), site.y()
    axis = site.axis(site.attribute("axis", -1), len(y.dims))
    for dim, out in zip(x.dims, (*y.dims[:axis], *y.dims[axis + 1 :]), strict=True):
        site.same(dim, out)
    site.block(y.dims[axis], "its index is a value")
    site.block_list(1)
    site.block_list(2)


def _reverse_sequence(site: Site) -> None:
    """Steps are turned round, sample by sample."""
    time, batch = site.attribute("time_axis", 0), site.attribute("batch_axis", 1)
    _passing(site, time, "an index along this axis is a step")
    site.same(site.x(1).dims[0], site.x().dims[batch])


def _tensor_scatter(site: Site) -> None:
    """Steps are written into a cache; all other axes are the same."""
    axis = site.axis(site.attribute("axis", -2), len(site.x().shape))
    _passing(site, axis, "an index along this axis is a step")
    for place, (dim, update) in enumerate(zip(site.x().dims, site.x(1).dims, strict=True)):
        if place == axis:
            site.block(update, "an index along this axis is a step")
        else:
            site.same(dim, update)
    if site.has(2):
        site.same(site.x(2).dims[0], site.x().dims[0])


def _feature_extractor(site: Site) -> None:
    """Features are looked up along the last axis."""
    *rest, last = site.x().dims
    *others, picked = site.y().dims
    for dim, out in zip(reversed(rest), reversed(others), strict=False):
        site.same(dim, out)
    site.block(last, _RUNTIME)
    site.block(picked, _RUNTIME)
    for dim in (*site.x(1).dims, *others[: len(others) - len(rest)]):
        site.block(dim, _RUNTIME)


OPERATORS = (
    Operator("Gather", _gather, rewrite=_gather_index, looks_up=True),
    Operator("GatherElements", _gather_elements),
    Operator("GatherND", _gather_nd),
    Operator("ScatterElements", _scatter_elements),
    Operator("ScatterND", _scatter_nd),
    Operator("ArgMax", _arg),
    Operator("ArgMin", _arg),
    Operator("Scatter", _scatter_elements, since=9),
    Operator("TensorScatter", _tensor_scatter, since=24),
    Operator("TopK", _top_k),
    Operator("Compress", _compress, since=9),
    Operator("OneHot", _one_hot, since=9),
    Operator("ReverseSequence", _reverse_sequence, since=10),
    Operator("ArrayFeatureExtractor", _feature_extractor, domain="ai.onnx.ml"),
)
