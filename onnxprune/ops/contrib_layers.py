"""ONNX Runtime's layers: convolutions and matrix products with an activation.

Layouts end with channels where the name says Nhwc. An activation works element by element, so that
it changes nothing for axes; but a fused layer is no linear map any more (`ops/affine.py`).
"""

from __future__ import annotations

from onnxprune.ops.linear import gemm_axes
from onnxprune.ops.operator import CONTRIB, signature
from onnxprune.ops.site import Site
from onnxprune.ops.windows import spatial_letters

_MIXING = ("Softmax", "LogSoftmax", "Hardmax")
"""Activations that look along an axis."""


def _conv(site: Site) -> str:
    """A convolution, and what is added to its result."""
    s, t, k = spatial_letters(site, site.x(1).shape[2:])
    return f"x[n, (g i){s}], w[(g o), i{k}], bias[(g o)]?, z[n, (g o){t}]? -> y[n, (g o){t}]"


def _conv_last(site: Site) -> str:
    """NhwcConv has channels last in its weight as well; NhwcFusedConv has Conv's weight."""
    last = site.op_type == "NhwcConv"
    kernel = site.x(1).shape[1:-1] if last else site.x(1).shape[2:]
    s, t, k = spatial_letters(site, kernel, first=1)
    w = f"(g o){k}, i" if last else f"(g o), i{k}"
    return f"x[n{s}, (g i)], w[{w}], bias[(g o)]?, z[n{t}, (g o)]? -> y[n{t}, (g o)]"


def _conv_transpose(site: Site) -> str:
    s, t, k = spatial_letters(site, site.x(1).shape[2:])
    return f"x[n, (g i){s}], w[(g i), o{k}], pads[#j]?, bias[(g o)]? -> y[n, (g o){t}]"


def _pool_last(site: Site) -> str:
    s, t, _ = spatial_letters(site, site.ints("kernel_shape") or [], first=1)
    return f"x[n{s}, c] -> y[n{t}, c]"


def _causal_conv(site: Site) -> str:
    """Each channel by itself; the state holds the last places, of several steps if asked for."""
    window = "#w, " if site.attribute("state_window", 0) else ""
    rank = len(site.x().shape)
    places = [f"#s{i}" for i in range(rank - 2)]
    kernel = ", ".join(f"#k{i}" for i in range(rank - 2))
    if site.attribute("channels_last", 0):
        channels = " ".join(f"c{i}" for i in range(rank - 2))
        loose = ", ".join(channels.split())
        x, state = f"b, #s, {loose}", f"{window}b, #p, {loose}"
        w = f"({channels}), one, *k"
    else:
        x = ", ".join(["b", "c", *places])
        state = ", ".join([f"{window}b", "c", *places[:-1], "#p"])
        channels, w = "c", f"c, one, {kernel}"
    y = x.replace("#", "")
    return f"x[{x}], w[{w}], bias[({channels})]?, past[{state}]? -> y[{y}], present[{state}]"


def _gemm(site: Site) -> str:
    a, b, bias = gemm_axes(site, 2)
    return f"a[{a}], b[{b}], bias[{bias}]? -> y[m, n]"


def _matmul(site: Site) -> str:
    """A product of matrices in one of the layouts of their operands.

    The last two axes of an operand may be swapped. Where its batch is, too, the first axis of all
    takes the place of the last but one.
    """
    ranks = [len(site.x(i).shape) for i in (0, 1)]
    a, b = (
        _operand(site, "AB"[i], rank, *letters)
        for i, (rank, letters) in enumerate(zip(ranks, (("m", "k"), ("k", "n")), strict=True))
    )
    opaque = "#" if site.attribute("activation", "") in _MIXING else ""
    y = ["*b"] * (max(ranks) > 2)
    y += [f"{opaque}{x}" for x, rank in zip("mn", ranks, strict=True) if rank > 1]
    return f"a[{a}], b[{b}] -> y[{', '.join(y)}]"


def _operand(site: Site, name: str, rank: int, row: str, column: str) -> str:
    if rank == 1:
        return "k"
    if site.attribute(f"trans{name}", 0):
        row, column = column, row
    if rank == 2:
        return f"{row}, {column}"
    around = site.attribute(f"transBatch{name}", 0)
    return f"{row}, *b, {column}" if around else f"*b, {row}, {column}"


_GROUPS = {"group": "g"}
_CONV_MACS = "n g o i k t"

OPERATORS = (
    signature("FusedConv", _conv, domain=CONTRIB, attributes=_GROUPS, macs=_CONV_MACS),
    *(
        signature(name, _conv_last, domain=CONTRIB, attributes=_GROUPS, macs=_CONV_MACS)
        for name in ("NhwcConv", "NhwcFusedConv")
    ),
    signature(
        "ConvTransposeWithDynamicPads",
        _conv_transpose,
        domain=CONTRIB,
        attributes=_GROUPS,
        macs="n g o i k s",
    ),
    signature("CausalConvWithState", _causal_conv, domain=CONTRIB, macs="b c s k"),
    signature("NhwcMaxPool", _pool_last, domain=CONTRIB),
    signature("FusedGemm", _gemm, domain=CONTRIB, macs="m n k"),
    *(
        signature(name, _matmul, domain=CONTRIB, macs="b m n k")
        for name in ("FusedMatMul", "FusedMatMulActivation", "TransposeMatMul")
    ),
    signature(
        "GemmFastGelu",
        "x[*b, k], w[k, n], bias[n]? -> y[*b, n]",
        domain=CONTRIB,
        macs="b n k",
    ),
)
