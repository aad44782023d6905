"""Normalisations and reductions, over the channels or over anything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.random_graphs.builder import Network, Operand, Size, Tensor
from tests.random_graphs.elementwise import binary, clip, combine
from tests.random_graphs.shaping import (
    channels_at,
    channels_last,
    expand,
    rearrange,
    reduce_,
    unsqueeze,
)

REDUCTIONS = (
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceProd",
    "ReduceSumSquare",
)


def scaled(net: Network, x: Tensor) -> Tensor:
    """A scale and sometimes a shift for each channel."""
    shape = x.per_channel()
    y = binary(net, "Mul", x, Tensor(net.scales(*shape), shape, 0))
    return binary(net, "Add", y, Tensor(net.vector(*shape), shape, 0)) if net.flag() else y


# Operators.


def batch_norm(net: Network, x: Tensor) -> Tensor:
    """Along axis 1, wherever the channels are."""
    c = x.shape[1]
    if isinstance(c, Size) or net.half:
        return scaled(net, x)
    vectors = [net.scales(c), net.vector(c), net.vector(c), net.scales(c)]
    return net.op("BatchNormalization", x.shape, x, *vectors)


def statistics(net: Network, c: int) -> tuple[str, str]:
    """A mean and a variance for training mode, in which ONNX Runtime 1.31 writes over them."""
    return net.vector(c, own=True), net.vector(c, low=0.5, high=1.5, own=True)


def batch_norm_in_training(net: Network, x: Tensor) -> Tensor:
    """Statistics of the batch itself; running ones are made, too, as the definition asks."""
    if net.opset < 14 or isinstance(x.shape[1], Size) or net.half:
        return scaled(net, x)
    c = x.shape[1]
    vectors = [net.scales(c), net.vector(c), *statistics(net, c)]
    asked = [x.shape, (c,), (c,)]
    return net.ops("BatchNormalization", asked, x, *vectors, training_mode=1, epsilon=1e-2)[0]


def instance_norm(net: Network, x: Tensor) -> Tensor:
    c = x.shape[1]
    if x.rank < 3 or isinstance(c, Size) or net.half:
        return scaled(net, x)
    vectors = net.scales(c), net.vector(c)
    return net.op("InstanceNormalization", x.shape, x, *vectors, epsilon=1e-2)


def group_norm(net: Network, x: Tensor) -> Tensor:
    """The operator, or what exporters wrote before there was one."""
    c = x.channels
    g = net.divisor(c)
    if x.axis != 1 or x.rank < 3 or net.half:
        return scaled(net, x)
    if net.opset >= 21 and net.flag():
        vectors = net.scales(c), net.vector(c)
        options = {"num_groups": g, "epsilon": 1e-2}
        return net.op("GroupNormalization", x.shape, x, *vectors, **options)
    names = " ".join(f"s{i}" for i in range(len(x.spatial)))
    y = rearrange(net, x, "n (g c) *s -> n g (c *s)", g=g)
    ones, zeros = (np.full(g, v, dtype=net.real) for v in (1, 0))
    given = net.constant(ones), net.constant(zeros)
    y = net.op("InstanceNormalization", y.shape, y, *given, epsilon=1e-2)
    if any(isinstance(n, Size) for n in x.spatial):
        target = net.op("Shape", (x.rank,), x)
        return scaled(net, net.op("Reshape", x.shape, y, target).at(1))
    sizes = {f"s{i}": n for i, n in enumerate(x.spatial)}
    y = rearrange(net, y, f"n g (c {names}) -> n (g c) {names}", **sizes)
    return scaled(net, y)


def layer_norm(net: Network, x: Tensor, axes: int = 1) -> Tensor:
    """Over the last axes: the operator, or what exporters make of it."""
    shape = x.shape[-axes:]
    static = not any(isinstance(n, Size) for n in shape)
    style = net.choose("operator", "operator", "decomposed", "root mean square")
    if style == "operator" and net.opset >= 17 and static:
        if net.has("RMSNormalization") and net.flag():
            return net.op("RMSNormalization", x.shape, x, net.scales(*shape), axis=-axes)
        bias = [net.vector(*shape)] if net.flag() else []
        place = x.rank - axes if net.flag() else -axes
        asked: list[Sequence[int]] = [x.shape]
        return net.ops(
            "LayerNormalization", asked, x, net.scales(*shape), *bias, axis=place, epsilon=1e-3
        )[0]
    last = range(x.rank - axes, x.rank)
    y = _decomposed(net, x, last, centred=style != "root mean square")
    if not static:
        return y
    y = binary(net, "Mul", y, Tensor(net.scales(*shape), shape, 0))
    return binary(net, "Add", y, Tensor(net.vector(*shape), shape, 0)) if net.flag() else y


def _decomposed(net: Network, x: Tensor, axes: Sequence[int], centred: bool) -> Tensor:
    y = binary(net, "Sub", x, reduce_(net, "ReduceMean", x, axes)) if centred else x
    two = net.scalar(2.0)
    square = binary(net, "Mul", y, y) if net.flag() else net.op("Pow", y.shape, y, two)
    variance = reduce_(net, "ReduceMean", square, axes)
    shifted = net.op("Add", variance.shape, variance, net.scalar(1e-2))
    root = net.op("Sqrt", shifted.shape, shifted)
    if net.flag():
        return binary(net, "Div", y, root)
    return binary(net, "Mul", y, net.op("Reciprocal", root.shape, root))


def over_channels(net: Network, x: Tensor) -> Tensor:
    """A layer norm over the channels, wherever they are."""
    if net.flag():
        return scaled(net, _decomposed(net, x, [x.axis], centred=net.flag()))
    return channels_at(net, layer_norm(net, channels_last(net, x)), x.axis)


def over_everything(net: Network, x: Tensor) -> Tensor:
    axes = x.rank - 1 if x.rank < 4 or net.flag() else 2
    if any(isinstance(n, Size) for n in x.shape[-axes:]):
        return scaled(net, _decomposed(net, x, range(x.rank - axes, x.rank), centred=net.flag()))
    return layer_norm(net, x, axes)


def unit_length(net: Network, x: Tensor) -> Tensor:
    """Divided by its norm over one axis."""
    axis = net.number(1, x.rank - 1)
    if net.flag() and not net.half:
        return net.op("LpNormalization", x.shape, x, axis=axis, p=net.choose(2, 1))
    norm = reduce_(net, "ReduceL2", x, [axis])
    if net.flag():
        shifted = net.op("Max", norm.shape, norm, net.scalar(1e-2)) if net.opset >= 8 else norm
    else:
        shifted = net.op("Add", norm.shape, norm, net.scalar(1e-2))
    if shifted.name != norm.name and net.opset >= 8 and net.flag():
        shifted = expand(net, shifted, x.shape, x)
    return binary(net, "Div", x, shifted)


def softmax(net: Network, x: Tensor) -> Tensor:
    """Over one axis; before opset 13 over it and all behind it."""
    axis = net.number(1, x.rank - 1)
    kind = net.choose("Softmax", "LogSoftmax")
    counted = axis - x.rank if net.opset >= 13 and net.flag() else axis
    return net.op(kind, x.shape, x, axis=counted)


def response_norm(net: Network, x: Tensor) -> Tensor:
    """Channels compete: each against the mean of all (GRN)."""
    places = [i for i in range(1, x.rank) if i != x.axis]
    if not places:
        return x
    size = reduce_(net, "ReduceL2", x, places)
    mean = reduce_(net, "ReduceMean", size, [x.axis])
    shifted = net.op("Add", mean.shape, mean, net.scalar(1e-2))
    return binary(
        net, "Add", x, scaled(net, binary(net, "Mul", x, binary(net, "Div", size, shifted)))
    )


# Reductions.


def reduced(net: Network, x: Tensor) -> Tensor:
    """What a reduction tells, beside what it was told of."""
    axes = sorted({net.number(1, x.rank - 1) for _ in range(net.number(1, 2))})
    keep = net.flag()
    y = reduction(net, x, axes, keep)
    return combine(net, x, y if keep else unsqueeze(net, y, *axes).at(x.axis))


def reduction(net: Network, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    kind = net.choose(*REDUCTIONS)
    if kind == "ReduceProd":
        x = net.op("Sigmoid", x.shape, x)
        x = net.op("Add", x.shape, x, net.scalar(0.5))
    if kind == "ReduceLogSum":
        x = net.op("Softplus", x.shape, x)
        y = reduce_(net, "ReduceLogSum", x, axes, keep)
        return clip(net, y)
    if kind in ("ReduceL1", "ReduceSumSquare", "ReduceSum") and net.flag():
        x = net.op("Tanh", x.shape, x)
    return reduce_(net, kind, x, axes, keep)


def running_sum(net: Network, x: Tensor) -> Tensor:
    axis = net.number(1, x.rank - 1)
    if not net.has("CumSum") or net.half:
        return x
    given: list[Operand] = [net.choose(net.index, net.ints)(axis)]
    options = {"reverse": int(net.flag()), "exclusive": int(net.flag())}
    return net.op("CumSum", x.shape, x, *given, **options)


def extreme_place(net: Network, x: Tensor) -> Tensor:
    """The place of the largest element becomes a number."""
    axis = net.number(1, x.rank - 1)
    kind = net.choose("ArgMax", "ArgMin")
    shape = x.sized(axis, 1)
    keep = net.flag()
    if keep:
        y = net.op(kind, shape, x, axis=axis).at(x.axis)
    else:
        gone = [n for i, n in enumerate(x.shape) if i != axis]
        y = unsqueeze(net, net.op(kind, gone, x, axis=axis, keepdims=0), axis).at(x.axis)
    number = net.op("Cast", shape, y, to=net.real_type)
    small = net.op("Mul", shape, number, net.scalar(0.1))
    return binary(net, "Add", x, small)


BLOCKS = (
    scaled,
    batch_norm,
    batch_norm_in_training,
    instance_norm,
    group_norm,
    layer_norm,
    over_channels,
    over_everything,
    unit_length,
    softmax,
    response_norm,
    reduced,
    reduced,
    running_sum,
    extreme_place,
)
