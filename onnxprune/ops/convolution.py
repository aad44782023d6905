"""Convolutions of any rank and group count."""

from __future__ import annotations

from onnxprune.ops.notation import parse
from onnxprune.ops.operator import Operator, apply, signature
from onnxprune.ops.site import Site
from onnxprune.ops.windows import spatial_letters


def _conv(site: Site) -> str:
    s, t, k = spatial_letters(site, site.x(1).shape[2:])
    return f"x[n, (g i){s}], w[(g o), i{k}], b[(g o)]? -> y[n, (g o){t}]"


def _conv_transpose(site: Site) -> str:
    s, t, k = spatial_letters(site, site.x(1).shape[2:])
    return f"x[n, (g i){s}], w[(g i), o{k}], b[(g o)]? -> y[n, (g o){t}]"


def _deform_conv(site: Site) -> None:
    """A convolution whose window is told place by place, for each group of channels anew."""
    x = site.x()
    groups = site.attribute("offset_group", 1)
    line = (
        "x[n, (g i), *s], w[(g o), i, *k], offset[n, (#f #p), #*t], b[(g o)]?,"
        " mask[n, (#f #q), *t]? -> y[n, (g o), *t]"
    )
    apply(site, parse(line), {"g": "group", "f": "offset_group"}, {})
    if groups > 1:
        inner = site.space.dim(x.shape[1] // groups, (site.name, "c"))
        site.same(x.dims[1], site.space.product((site.letters["f"], inner)))


OPERATORS = (
    signature("Conv", _conv, attributes={"group": "g"}, macs="n g o i k t"),
    signature("ConvTranspose", _conv_transpose, attributes={"group": "g"}, macs="n g o i k s"),
    Operator(
        "DeformConv",
        _deform_conv,
        since=19,
        attributes={"group": "g"},
        macs=(("n", "g", "o", "i", "k", "t"),),
    ),
)
