"""Convolutions of any rank and group count."""

from __future__ import annotations

from onnxprune.ops.operator import signature
from onnxprune.ops.site import Site
from onnxprune.ops.windows import spatial_letters


def _conv(site: Site) -> str:
    s, t, k = spatial_letters(site, site.x(1).shape[2:])
    return f"x[n, (g i){s}], w[(g o), i{k}], b[(g o)]? -> y[n, (g o){t}]"


def _conv_transpose(site: Site) -> str:
    s, t, k = spatial_letters(site, site.x(1).shape[2:])
    return f"x[n, (g i){s}], w[(g i), o{k}], b[(g o)]? -> y[n, (g o){t}]"


OPERATORS = (
    signature("Conv", _conv, attributes={"group": "g"}, macs="n g o i k t"),
    signature("ConvTranspose", _conv_transpose, attributes={"group": "g"}, macs="n g o i k s"),
)
