"""Convolutions and matrix products, and what exporters do to their weights."""

from __future__ import annotations

from math import gcd, prod

from tests.random_graphs.builder import Network, Size, Tensor
from tests.random_graphs.elementwise import binary
from tests.random_graphs.normalizing import statistics
from tests.random_graphs.shaping import (
    channels_at,
    channels_last,
    pad,
    rearrange,
    reduce_,
    transpose,
)

# Weights.


def kernel(net: Network, out: int, inner: int, *window: int) -> str:
    """A convolution's kernel, as it is or computed from what was trained."""
    plain = net.weight(out, inner, *window)
    if prod(window) * inner == 1 or not net.rarely():
        return plain
    w = Tensor(plain, (out, inner, *window))
    style = net.choose("normed", "standardised", "in training", "two branches", "copy")
    if style == "normed":
        return _weight_norm(net, w).name
    if style == "standardised":
        return _standardised(net, w).name
    if style == "in training" and net.opset >= 14 and not net.half:
        return _standardised_in_training(net, w).name
    if style == "two branches" and len(window) == 2 and window[0] == 3:
        point = Tensor(net.weight(out, inner, 1, 1), (out, inner, 1, 1))
        return binary(net, "Add", w, pad(net, point, (0, 0, 1, 1), (0, 0, 1, 1))).name
    return net.op("Identity", w.shape, w).name


def _weight_norm(net: Network, w: Tensor) -> Tensor:
    """``g * v / norm(v)``, the norm over everything but the outputs."""
    norm = reduce_(net, "ReduceL2", w, range(1, w.rank))
    gain = Tensor(net.scales(w.shape[0], *[1] * (w.rank - 1)), norm.shape)
    if net.flag():
        return binary(net, "Mul", w, binary(net, "Div", gain, norm))
    return binary(net, "Mul", binary(net, "Div", w, norm), gain)


def _standardised(net: Network, w: Tensor) -> Tensor:
    axes = range(1, w.rank)
    centred = binary(net, "Sub", w, reduce_(net, "ReduceMean", w, axes))
    variance = reduce_(net, "ReduceMean", binary(net, "Mul", centred, centred), axes)
    shifted = net.op("Add", variance.shape, variance, net.scalar(1e-3))
    return binary(net, "Div", centred, net.op("Sqrt", shifted.shape, shifted))


def _standardised_in_training(net: Network, w: Tensor) -> Tensor:
    out = w.shape[0]
    flat = net.op("Reshape", (1, out, prod(w.shape[1:])), w, net.ints(1, out, -1))
    running = statistics(net, out)
    vectors = [net.scales(out), net.vector(out), *running]
    asked = [flat.shape, (out,), (out,)]
    options = {"training_mode": 1, "epsilon": 1e-3}
    y = net.ops("BatchNormalization", asked, flat, *vectors, **options)[0]
    return net.op("Reshape", w.shape, y, net.ints(*w.shape))


def matrix(net: Network, rows: int, columns: int) -> str:
    """A matrix of ``rows`` inputs and ``columns`` outputs."""
    style = net.choose("plain", "transposed", "transposed", "reshaped")
    if style == "transposed":
        stored = Tensor(net.weight(columns, rows), (columns, rows))
        return transpose(net, stored, 1, 0).name
    if style == "reshaped":
        stored = Tensor(net.weight(rows * columns, fan=rows), (rows * columns,))
        return net.op("Reshape", (rows, columns), stored, net.ints(rows, columns)).name
    return net.weight(rows, columns, fan=rows)


# Layers.


def conv(
    net: Network,
    x: Tensor,
    out: int,
    *,
    size: int = 1,
    group: int = 1,
    stride: int = 1,
    dilation: int = 1,
    weights: str = "",
) -> Tensor:
    """A convolution over any number of spatial axes; with stride 1 it keeps their sizes."""
    rank = len(x.spatial)
    weights = weights or kernel(net, out, x.channels // group, *[size] * rank)
    bias = [net.vector(out)] if net.flag() else []
    before = dilation * (size - 1) // 2
    after = dilation * (size - 1) - before
    shape = [(n + before + after - dilation * (size - 1) - 1) // stride + 1 for n in x.spatial]
    options: dict[str, object] = {"pads": [before] * rank + [after] * rank}
    if stride == 1 and dilation == 1 and net.rarely():
        options = {"auto_pad": "SAME_UPPER"}
    if group > 1 or net.flag():
        options["group"] = group
    if net.flag():
        options["kernel_shape"] = [size] * rank
    if stride > 1 or net.flag():
        options["strides"] = [stride] * rank
    if dilation > 1:
        options["dilations"] = [dilation] * rank
    return net.op("Conv", (x.shape[0], out, *shape), x, weights, *bias, **options)


def transposed_conv(net: Network, x: Tensor, out: int, *, group: int = 1) -> Tensor:
    """Twice as large, or as large as before."""
    rank = len(x.spatial)
    stride = net.choose(2, 2, 1)
    size = net.choose(2, 3, 4) if stride == 2 else net.choose(1, 3)
    extra = size % 2 if stride == 2 else 0
    before = (size - stride + extra) // 2
    weights = net.weight(x.channels, out // group, *[size] * rank, fan=x.channels // group * size)
    bias = [net.vector(out)] if net.flag() else []
    shape = [n * stride for n in x.spatial]
    options: dict[str, object] = {"strides": [stride] * rank, "pads": [before] * 2 * rank}
    options |= {"output_padding": [extra] * rank} if extra else {}
    options |= {"group": group} if group > 1 or net.flag() else {}
    options |= {"kernel_shape": [size] * rank} if net.flag() else {}
    return net.op("ConvTranspose", (x.shape[0], out, *shape), x, weights, *bias, **options)


def groups_of(net: Network, x: Tensor) -> tuple[int, int]:
    """A number of groups, and a number of outputs that they divide."""
    group = net.divisor(gcd(x.channels, 12))
    return group, group * net.number(1, 18 // group)


def linear(net: Network, x: Tensor, out: int) -> Tensor:
    """A matrix product over the last axis, in one of the ways that exporters write it."""
    c = x.shape[-1]
    shape = (*x.shape[:-1], out)
    style = net.choose("matmul", "matmul", "gemm", "einsum")
    if style == "gemm" and x.rank == 2:
        return _gemm(net, x, out)
    if style == "gemm" and not any(isinstance(n, Size) for n in x.shape[1:]) and x.rank == 3:
        flat = rearrange(net, x, "n l c -> (n l) c")
        return rearrange(net, _gemm(net, flat, out), "(n l) c -> n l c", l=x.shape[1])
    if style == "einsum" and net.has("Einsum"):
        equation = net.choose("...i,io->...o", "...i,oi->...o", "...I,Io")
        sizes = (out, c) if "oi" in equation else (c, out)
        y = net.op("Einsum", shape, x, net.weight(*sizes, fan=c), equation=equation)
    else:
        y = net.op("MatMul", shape, x, matrix(net, c, out))
    return net.op("Add", shape, *_shuffled(net, y, net.vector(out))) if net.flag() else y


def _shuffled(net: Network, x: Tensor, other: str) -> tuple[Tensor | str, Tensor | str]:
    return (x, other) if net.flag() else (other, x)


def _gemm(net: Network, x: Tensor, out: int) -> Tensor:
    c = x.shape[-1]
    by = int(net.flag())
    weights = net.weight(out, c) if by else net.weight(c, out, fan=c)
    bias = [net.vector(*net.choose((out,), (1, out)))] if net.flag() or net.opset < 11 else []
    options: dict[str, object] = {"transB": by}
    options |= {"alpha": 0.5, "beta": 2.0} if net.rarely() else {}
    if net.rarely():
        options["transA"] = 1
        x = net.op("Transpose", x.shape[::-1], x)
        return net.op("Gemm", (x.shape[1], out), x, weights, *bias, **options)
    return net.op("Gemm", (x.shape[0], out), x, weights, *bias, **options)


def mix(net: Network, x: Tensor, out: int) -> Tensor:
    """A layer that makes `out` new channels and keeps all other axes."""
    if x.axis == x.rank - 1:
        return linear(net, x, out)
    style = net.choose("conv", "conv", "conv", "last", "left")
    if style == "left" and x.rank == 3:
        shape = (x.shape[0], out, x.shape[2])
        return net.op("MatMul", shape, net.weight(out, x.channels), x).at(1)
    if style == "last":
        return channels_at(net, linear(net, channels_last(net, x), out), 1)
    return conv(net, x, out, size=net.choose(1, 1, 3))
