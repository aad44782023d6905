"""Quantization as quantizers write it: around tensors, of weights, and of layers at run time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from tests.random_graphs.builder import Network, Size, Tensor
from tests.random_graphs.layers import linear

_SINCE, _PER_CHANNEL_SINCE, _DYNAMIC_SINCE = 10, 13, 11
"""First opsets of QuantizeLinear, of its axis, and of DynamicQuantizeLinear."""


def _can(net: Network, x: Tensor, since: int) -> bool:
    return not net.half and net.opset >= since and not isinstance(x.channels, Size)


def _signed(net: Network) -> np.dtype[Any]:
    return np.dtype(np.int8 if net.flag() else np.uint8)


def _zero(net: Network, dtype: np.dtype[Any], *shape: int) -> str:
    """A zero point near the middle of the range."""
    middle = 0 if dtype == np.int8 else 128
    return net.constant(np.full(shape, middle + net.number(-9, 9)).astype(dtype))


def _scales(net: Network, count: int, low: float, high: float) -> str:
    return net.constant(np.linspace(low, high, count).astype(np.float32))


def around(net: Network, x: Tensor) -> Tensor:
    """What a tensor is after a round trip through eight bits; by channel, or as a whole."""
    if not _can(net, x, _SINCE):
        return x
    dtype = _signed(net)
    by_channel = net.opset >= _PER_CHANNEL_SINCE and net.flag()
    shape = (x.channels,) if by_channel else ()
    scale = _scales(net, x.channels, 0.02, 0.05) if by_channel else net.plain_scalar(0.03)
    zero = _zero(net, dtype, *shape)
    along = {"axis": x.axis} if by_channel else {}
    q = net.op("QuantizeLinear", x.shape, x, scale, zero, **along)
    return net.op("DequantizeLinear", x.shape, q, scale, zero, **along).at(x.axis)


def linear_of_integers(net: Network, x: Tensor) -> Tensor:
    """A layer over the last axis whose weights are decoded, a scale for each output."""
    if x.axis != x.rank - 1 or not _can(net, x, _PER_CHANNEL_SINCE):
        return around(net, x)
    out, c = net.width(), x.channels
    scale = _scales(net, out, 0.006, 0.012)
    stored = net.constant(_integers(net, c, out))
    w = net.op(
        "DequantizeLinear", (c, out), stored, scale, _zero(net, np.dtype(np.int8), out), axis=1
    )
    return net.op("MatMul", (*x.shape[:-1], out), x, w).at(x.rank - 1)


def linear_at_run_time(net: Network, x: Tensor) -> Tensor:
    """A product of integers; the range of what it reads is found at run time."""
    if x.axis != x.rank - 1 or not _can(net, x, _DYNAMIC_SINCE):
        return linear(net, x, net.width()) if x.axis == x.rank - 1 else around(net, x)
    out, c = net.width(), x.channels
    q, scale, zero = net.ops("DynamicQuantizeLinear", [x.shape, (), ()], x)
    stored, middle = net.constant(_integers(net, c, out)), _zero(net, np.dtype(np.int8))
    shape = (*x.shape[:-1], out)
    y = net.op("MatMulInteger", shape, q, stored, zero, middle)
    wide = net.op("Cast", shape, y, to=TensorProto.FLOAT)
    both = net.op("Mul", (), scale, net.plain_scalar(0.01))
    return net.op("Mul", shape, wide, both).at(x.rank - 1)


def _integers(net: Network, rows: int, columns: int) -> npt.NDArray[np.int8]:
    rng = np.random.default_rng(net.number(0, 1 << 20))
    return rng.integers(-90, 90, (rows, columns)).astype(np.int8)


BLOCKS = (around, linear_of_integers, linear_at_run_time)
