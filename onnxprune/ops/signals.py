"""Operators on signals and patches: Fourier transforms, patches put together, cropping."""

from __future__ import annotations

from onnxprune.ops.operator import Operator, signature
from onnxprune.ops.site import Site


def _dft(site: Site) -> str:
    """The transformed axis holds places, then frequencies; the last, parts of numbers."""
    rank = len(site.x().shape)
    told = (
        site.int_list(2)
        if site.has(2)
        else [site.attribute("axis", 1 if site.version < 20 else -2)]
    )
    moved = range(rank) if told is None else [site.axis(told[0], rank)]
    x = ["#s" if i in moved else f"a{i}" for i in range(rank - 1)]
    y = ["#t" if i in moved else f"a{i}" for i in range(rank - 1)]
    if told is None:
        x, y = ([f"#{name}{i}" for i in range(rank - 1)] for name in "st")
    return f"x[{', '.join(x)}, #p], length[*u]?, axis[*v]? -> y[{', '.join(y)}, #q]"


def _stft(site: Site) -> str:
    parts = ", #p" * (len(site.x().shape) - 2)
    return f"x[n, #s{parts}], step[*u], window[*w]?, length[*v]? -> y[n, #f, #k, #q]"


def _center_crop_pad(site: Site) -> None:
    """The axes that are named get the sizes that an input lists."""
    x, y = site.x(), site.y()
    rank = len(x.shape)
    axes = [site.axis(axis, rank) for axis in site.ints("axes") or range(rank)]
    for place, (dim, out) in enumerate(zip(x.dims, y.dims, strict=True)):
        if place in axes:
            site.block(dim, "cropped or padded around its middle")
            site.block(out, "cropped or padded around its middle")
        else:
            site.same(dim, out)
    site.block_list(1)


OPERATORS = (
    signature("DFT", _dft, since=17, opaque={"p": "parts of complex numbers"}),
    signature("STFT", _stft, since=17),
    signature(
        "Col2Im",
        "x[n, (c #k), #l], image[#i], block[#j] -> y[n, c, *s]",
        since=18,
    ),
    Operator("CenterCropPad", _center_crop_pad, since=18),
)
