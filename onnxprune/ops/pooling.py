"""Pooling and sampling over spatial axes; channels pass through."""

from __future__ import annotations

from onnxprune.ops.operator import signature
from onnxprune.ops.site import Site
from onnxprune.ops.windows import spatial_letters


def _pool(site: Site) -> str:
    s, t, _ = spatial_letters(site, site.ints("kernel_shape") or [])
    return f"x[n, c{s}] -> y[n, c{t}]"


def _max_pool(site: Site) -> str:
    """The indices are places in the whole tensor: whoever asks for them fixes its shape."""
    if len(site.outputs) > 1 and site.outputs[1] is not None:
        return "x[#n, #c, *s] -> y[n, c, #*t], indices[n, c, *t]"
    return _pool(site)


OPERATORS = (
    *(signature(name, _pool) for name in ("AveragePool", "LpPool")),
    signature("MaxPool", _max_pool),
    *(
        signature(name, "x[n, c, *s] -> y[n, c, *t]")
        for name in ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
    ),
    signature(
        "RoiAlign",
        "x[#n, c, #h, #w], regions[r, #k], samples[r] -> y[r, c, #p, #q]",
        since=10,
        opaque={"n": "regions tell samples by their number"},
    ),
    signature(
        "MaxRoiPool",
        "x[#n, c, #h, #w], regions[r, #k] -> y[r, c, #p, #q]",
        opaque={"n": "regions tell samples by their number"},
    ),
    signature("GridSample", "x[n, c, *s], grid[n, *t, #k] -> y[n, c, *t]", since=16),
)
