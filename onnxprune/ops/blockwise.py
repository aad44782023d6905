"""Weights in blocks of few bits: MatMulNBits, GatherBlockQuantized.

The indices of a block share a scale, and lie in bytes that hold several: blocks go whole. Where
zero points are packed as well, as many blocks go together as one byte has zero points of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Keeps, kept_size
from onnxprune.ops.encoding import Encoding
from onnxprune.ops.operator import CONTRIB, Rewrite, signature
from onnxprune.ops.site import Site

Array = npt.NDArray[Any]
_BYTE = 8


class BlockEncoding(Encoding):
    """Unsigned integers of few bits, packed from the lowest bits of a byte on, in blocks."""

    @property
    def in_blocks(self) -> bool:
        """Always true."""
        return True

    def held(self, site: Site) -> int:
        """How many numbers a byte holds."""
        return _BYTE // site.attribute("bits", 4)

    def decoded(self, site: Site, read: Callable[[int], Array | None]) -> Array:
        """The numbers that constant integers stand for, ``[n, blocks, block_size]`` float32."""
        packed, scale, zero = (read(i) for i in (self.operand, *self.parameters))
        assert packed is not None
        assert scale is not None
        bits = site.attribute("bits", 4)
        rows, blocks, _ = packed.shape
        numbers = _unpacked(packed, bits).astype(np.float32)
        if zero is None:
            middle: Array = np.float32(1 << (bits - 1)) * np.ones((rows, blocks), np.float32)
        elif zero.dtype == np.uint8:
            middle = _unpacked(zero.reshape(rows, -1), bits)[:, :blocks].astype(np.float32)
        else:
            middle = zero.reshape(rows, blocks).astype(np.float32)
        spread = scale.reshape(rows, blocks, 1).astype(np.float32)
        return np.asarray((numbers - middle[:, :, None]) * spread)


def _unpacked(packed: Array, bits: int) -> Array:
    """All integers that bytes hold, in place of the last axis."""
    shifts = np.arange(0, _BYTE, bits, dtype=np.uint8)
    parts = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return parts.reshape(*packed.shape[:-1], -1)


def _matmul(site: Site) -> str:
    """Each row of `b` holds the weights of one output, block by block."""
    (columns, blocks, _), size = site.x(1).shape, site.attribute("block_size", 32)
    together = _blocks_a_byte(site, columns * blocks)
    inside = "#p"
    k = f"h #{together}" if together > 1 else "k"
    if blocks * size != site.x().shape[-1] or blocks % together or site.has(4):
        k, inside = "#k", "#c"
    zero = "h" if together > 1 and k != "#k" else "#z" if k == "#k" else "k"
    flat = [len(site.x(i).shape) == 1 if site.has(i) else False for i in (2, 3)]
    scales, zeros = (
        f"(n {axes})" if is_flat else f"n, ({axes})"
        for axes, is_flat in zip((k, zero), flat, strict=True)
    )
    a = f"({k} {inside})" if inside == "#p" else inside
    return (
        f"a[*b, {a}], b[n, ({k}), #q], scales[{scales}], zeros[{zeros}]?, order[#g]?, bias[n]?"
        " -> y[*b, n]"
    )


def _blocks_a_byte(site: Site, blocks: int) -> int:
    """How many blocks have their zero points in one byte; 1 where nothing is packed."""
    zeros = site.x(3).shape if site.has(3) else ()
    held = int(np.prod(zeros)) if zeros else blocks
    return -(-blocks // held) if held < blocks else 1


def _counts(site: Site, keeps: Keeps) -> Rewrite:
    return Rewrite({"K": kept_size(site.x().dims[-1], keeps)})


def _gather(site: Site) -> str:
    """Rows are looked up; along another axis their numbers lie in blocks."""
    data, scales = site.x().shape, site.x(2).shape
    rank = len(data)
    looked_up = site.axis(site.attribute("gather_axis", 0), rank)
    blocked = site.axis(site.attribute("quantize_axis", 1), rank)
    axes = [f"a{i}" for i in range(rank)]
    axes[looked_up] = "#v"
    stored, read, scaled = list(axes), list(axes), list(axes)
    whole = scales[blocked] * site.attribute("block_size", 128)
    fits = whole * site.attribute("bits", 4) % _BYTE == 0 and data[blocked] in (whole, whole // 2)
    if looked_up == blocked or not fits or (site.has(3) and site.x(3).shape != scales):
        stored[blocked], read[blocked], scaled[blocked] = "#s", "#t", "#u"
    else:
        stored[blocked], read[blocked] = "(k #r)", "(k #p)"
        scaled[blocked] = "k"
    read[looked_up] = "*i"
    zeros = (
        scaled
        if not site.has(3) or site.x(3).shape == scales
        else [*scaled[:blocked], "#w", *scaled[blocked + 1 :]]
    )
    return (
        f"data[{', '.join(stored)}], indices[*i], scales[{', '.join(scaled)}],"
        f" zeros[{', '.join(zeros)}]? -> y[{', '.join(read)}]"
    )


OPERATORS = (
    signature(
        "MatMulNBits",
        _matmul,
        domain=CONTRIB,
        attributes={"N": "n"},
        sizes={"p": "block_size"},
        macs="b n k h 2 4 p c",
        rewrite=_counts,
        encodings=(BlockEncoding(1, 2, 3),),
        rounds=True,
    ),
    signature("GatherBlockQuantized", _gather, domain=CONTRIB, sizes={"p": "block_size"}),
)
