"""Reductions over axes and running sums."""

from __future__ import annotations

from onnxprune.ops.operator import signature
from onnxprune.ops.site import Site

NEUTRAL_ZERO = ("ReduceSum", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare")
"""Reductions for which a masked 0 changes nothing; the others have a masked form."""
_COUNTED = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSumExp")


def reduced_axes(site: Site) -> list[int]:
    """The axes that a reduction runs over, counted from the front."""
    rank = len(site.x().shape)
    axes = site.int_list(1) if site.has(1) else site.ints("axes")
    if not axes:
        return [] if site.attribute("noop_with_empty_axes", 0) else list(range(rank))
    return sorted(site.axis(axis, rank) for axis in axes)


def _reduce(site: Site) -> str:
    if site.has(1) and site.int_list(1) is None:
        return "x[#*a], axes[#j] -> y[#*b]"
    rank = len(site.x().shape)
    axes = reduced_axes(site)
    keep = site.attribute("keepdims", 1)
    x = ", ".join(f"a{i}!" if i in axes else f"a{i}" for i in range(rank))
    y = ", ".join(f"one{i}" if i in axes else f"a{i}" for i in range(rank) if keep or i not in axes)
    return f"x[{x}], axes[#j]? -> y[{y}]"


def _cumulative(site: Site) -> str:
    rank = len(site.x().shape)
    data = site.int_list(1)
    axes = range(rank) if data is None else [site.axis(data[0], rank)]
    x = ", ".join(f"a{i}!" if i in axes else f"a{i}" for i in range(rank))
    return f"x[{x}], axis[*j]? -> y[{x}]"


OPERATORS = (
    *(signature(name, _reduce) for name in NEUTRAL_ZERO),
    *(signature(name, _reduce, masked=name) for name in _COUNTED),
    signature("CumSum", _cumulative, since=11, in_order=True),
    signature("CumProd", _cumulative, since=26, masked="CumProd", in_order=True),
)
