"""Random small networks of the shapes that exporters write: images, token sequences, vectors."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd, prod
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto

from tests.graph_builder import Network, Tensor

# Blocks over images, N C H W. Each takes and returns one tensor.


def _divisor(net: Network, n: int) -> int:
    return int(net.choose(*[d for d in range(1, n + 1) if n % d == 0]))


def plain(net: Network, x: Tensor) -> Tensor:
    group = _divisor(net, gcd(x.channels, 12)) if net.flag() else 1
    out = group * net.number(1, max(1, 18 // group)) if group > 1 else net.width()
    y = net.conv(x, out, size=net.choose(1, 3), group=group)
    return net.unary(net.batch_norm(y) if net.flag() else y)


def strided(net: Network, x: Tensor) -> Tensor:
    return net.conv(x, net.width(), size=3, stride=2)


def depthwise(net: Network, x: Tensor) -> Tensor:
    return net.conv(x, x.channels * net.choose(1, 1, 2), size=3, group=x.channels)


def residual(net: Network, x: Tensor) -> Tensor:
    y = image_block(net, x) if net.flag() else x
    y = net.conv(y, x.channels, size=net.choose(1, 3))
    if y.shape != x.shape:
        x = net.conv(x, x.channels, stride=x.shape[2] // y.shape[2]) if False else x
        return y
    return net.binary(net.choose("Add", "Add", "Mul", "Sub", "Max", "Min"), x, y)


def branches(net: Network, x: Tensor) -> Tensor:
    parts = [net.conv(x, net.width(), size=net.choose(1, 3)) for _ in range(net.number(1, 3))]
    parts += [x] if net.flag() or len(parts) < 2 else []
    return net.concat(parts, 1)


def parted(net: Network, x: Tensor) -> Tensor:
    c = x.channels
    if c < 2:
        return x
    cut = c // 2 if c % 2 == 0 and net.flag() else net.number(1, c - 1)
    if net.flag():
        a, b = net.split(x, 1, [cut, c - cut])
    else:
        a, b = net.slice(x, 1, 0, cut), net.slice(x, 1, cut, c)
    if a.channels == b.channels and net.flag():
        return net.binary(net.choose("Mul", "Add"), a, net.unary(b, "Sigmoid"))
    a = image_leaf(net, a)
    if a.shape[2:] != b.shape[2:]:
        return b
    return net.concat([a, b] if net.flag() else [b, a], 1)


def shuffle(net: Network, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    g = _divisor(net, c)
    y = net.reshape(x, n, g, c // g, h, w)
    return net.reshape(net.transpose(y, 0, 2, 1, 3, 4), n, c, h, w)


def squeeze_excite(net: Network, x: Tensor) -> Tensor:
    n, c, _, _ = x.shape
    pooled = net.op("GlobalAveragePool", (n, c, 1, 1), x)
    inner = net.number(2, 6)
    if net.flag():
        y = net.conv(net.unary(net.conv(pooled, inner), "Relu"), c)
    else:
        flat = net.op("Flatten", (n, c), pooled, axis=1)
        y = net.linear(net.unary(net.linear(flat, inner), "Tanh"), c)
        y = net.reshape(y, n, c, 1, 1)
    return net.binary("Mul", x, net.unary(y, "Sigmoid"))


def norm(net: Network, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    kind = net.choose("instance", "group", "layer", "decomposed")
    if kind == "instance":
        scale = net.vector(c, low=0.5, high=1.5)
        return net.op("InstanceNormalization", x.shape, x, scale, net.vector(c), epsilon=1e-3)
    g = _divisor(net, c)
    if kind == "group" and net.opset >= 21:
        scale, bias = net.vector(c, low=0.5, high=1.5), net.vector(c)
        return net.op("GroupNormalization", x.shape, x, scale, bias, num_groups=g, epsilon=1e-3)
    if kind == "layer":
        y = net.layer_norm(net.transpose(x, 0, 2, 3, 1))
        return net.transpose(y, 0, 3, 1, 2)
    y = net.op("Reshape", (n, g, c // g * h * w), x, net.ints(0, g, -1))
    ones = net.constant(np.ones(g, dtype=np.float32))
    zeros = net.constant(np.zeros(g, dtype=np.float32))
    y = net.op("InstanceNormalization", y.shape, y, ones, zeros, epsilon=1e-3)
    y = net.reshape(y, *x.shape)
    y = net.binary("Mul", y, net.vector(c, 1, 1, low=0.5, high=1.5))
    return net.binary("Add", y, net.vector(c, 1, 1))


def pool(net: Network, x: Tensor) -> Tensor:
    kind = net.choose("MaxPool", "AveragePool")
    return net.op(kind, x.shape, x, kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1])


def pad(net: Network, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    front, back = (net.number(0, 2), net.number(0, 2)) if net.flag() else (0, 0)
    amounts = net.ints(0, front, 1, 0, 0, back, 0, 1)
    return net.op("Pad", (n, c + front + back, h + 1, w + 1), x, amounts)


def upsample(net: Network, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    kernel = net.weight(c, 5, 2, 2, fan=c)
    return net.op("ConvTranspose", (n, 5, 2 * h, 2 * w), x, kernel, strides=[2, 2])


def space_to_depth(net: Network, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    if c % 4 == 0 and net.flag():
        mode = net.choose("DCR", "CRD")
        return net.op("DepthToSpace", (n, c // 4, 2 * h, 2 * w), x, blocksize=2, mode=mode)
    if h % 2 or w % 2:
        return x
    if net.flag() or h < 2:
        return net.op("SpaceToDepth", (n, 4 * c, h // 2, w // 2), x, blocksize=2)
    parts = [net.slice(net.slice(x, 2, i, h, 2), 3, j, w, 2) for i in range(2) for j in range(2)]
    return net.concat(parts, 1)


def spatial_attention(net: Network, x: Tensor) -> Tensor:
    both = [net.reduce(kind, x, 1) for kind in ("ReduceMean", "ReduceMax")]
    gate = net.conv(net.concat(both, 1), 1, size=3)
    return net.binary("Mul", x, net.unary(gate, "Sigmoid"))


def over_channels(net: Network, x: Tensor) -> Tensor:
    kind = net.choose("Softmax", "ReduceL2", "ReduceSum", "ReduceMin")
    if kind == "Softmax":
        order, back = (0, 2, 3, 1), (0, 3, 1, 2)
        y = net.transpose(x, *order)
        return net.transpose(net.op("Softmax", y.shape, y, axis=3), *back)
    return net.binary(net.choose("Add", "Mul"), x, net.reduce(kind, x, 1))


def mirrored(net: Network, x: Tensor) -> Tensor:
    if net.flag():
        return net.binary("Add", x, net.slice(x, 1, x.channels - 1, -1, -1))
    order = list(range(x.channels))[::-1] if net.flag() else [*range(1, x.channels), 0]
    return net.op("Gather", x.shape, x, net.ints(*order), axis=1)


def interleaved(net: Network, x: Tensor) -> Tensor:
    if x.channels % 2:
        return x
    a, b = (net.slice(x, 1, i, x.channels, 2) for i in range(2))
    return net.binary("Mul", a, b) if net.flag() else net.concat([a, b], 1)


def siamese(net: Network, x: Tensor) -> Tensor:
    kernel = net.weight(x.channels, x.channels, 1, 1)
    first = net.unary(net.conv(x, x.channels, kernel=kernel))
    return net.conv(first, x.channels, kernel=kernel)


def spread(net: Network, x: Tensor) -> Tensor:
    if net.flag():
        times = net.number(1, 2)
        repeats = net.ints(1, times, 1, 1)
        return net.op("Tile", (x.shape[0], times * x.channels, *x.shape[2:]), x, repeats)
    one = net.conv(x, 1)
    return net.op("Expand", x.shape, one, net.ints(1, x.channels, 1, 1))


def prelu(net: Network, x: Tensor) -> Tensor:
    return net.op("PRelu", x.shape, x, net.vector(x.channels, 1, 1))


def looked_up(net: Network, x: Tensor) -> Tensor:
    """One of k equal parts, as ``x[:, 1]`` after a reshape."""
    n, c, h, w = x.shape
    k = _divisor(net, c)
    y = net.reshape(x, n, k, c // k, h, w)
    index = net.constant(np.array(net.number(0, k - 1), dtype=np.int64))
    picked = net.op("Gather", (n, c // k, h, w), y, index, axis=1)
    if net.flag():
        return picked
    total = net.reduce("ReduceSum", y, 1, keep=False)
    return net.binary("Add", total, picked)


def chosen(net: Network, x: Tensor) -> Tensor:
    """One of two convolutions, over the same channels or over some that only it reads."""
    out = net.width()

    def part() -> Tensor:
        y = net.conv(x, net.width()) if net.flag() else x
        return net.unary(net.conv(y, out, size=net.choose(1, 3)))

    return net.either(part, part)


LEAVES = (
    chosen,
    plain,
    strided,
    depthwise,
    shuffle,
    squeeze_excite,
    norm,
    pool,
    pad,
    prelu,
    spatial_attention,
    over_channels,
    mirrored,
    interleaved,
    siamese,
    spread,
    looked_up,
    space_to_depth,
    upsample,
)
BLOCKS = (*LEAVES, plain, plain, residual, residual, branches, branches, parted, parted)


def image_leaf(net: Network, x: Tensor) -> Tensor:
    return _bounded(net, net.choose(*LEAVES)(net, x))


def image_block(net: Network, x: Tensor) -> Tensor:
    return _bounded(net, net.choose(*BLOCKS)(net, x))


def _bounded(net: Network, x: Tensor) -> Tensor:
    if x.channels > 40:
        x = net.conv(x, net.width())
    if x.shape[2] > 16:
        return net.conv(x, x.channels, size=3, stride=2)
    return x


# Blocks over sequences, N L C.


def perceptron(net: Network, x: Tensor) -> Tensor:
    inner = net.width()
    if net.flag():
        y = net.unary(net.linear(x, inner), net.choose("Relu", "Tanh", "Erf"))
    else:
        both = net.linear(x, 2 * inner)
        a, b = net.split(both, len(x.shape) - 1, [inner, inner])
        y = net.binary("Mul", a, net.unary(b, "Sigmoid"))
    return net.linear(y, x.shape[-1])


def _heads(net: Network, x: Tensor, heads: int) -> Tensor:
    n, length, c = x.shape
    return net.transpose(net.reshape(x, n, length, heads, c // heads), 0, 2, 1, 3)


def _rotary(net: Network, x: Tensor) -> Tensor:
    length, d = x.shape[2:]
    a, b = net.slice(x, 3, 0, d // 2), net.slice(x, 3, d // 2, d)
    turned = net.concat([net.unary(b, "Neg"), a], 3)
    return net.binary(
        "Add",
        net.binary("Mul", x, net.vector(length, d)),
        net.binary("Mul", turned, net.vector(length, d)),
    )


def attention(net: Network, x: Tensor) -> Tensor:
    n, length, _ = x.shape
    heads, d = net.choose(2, 3, 4), net.choose(2, 4, 6)
    kind = net.choose("fused", "apart", "split", "grouped")
    if kind == "fused":
        y = net.reshape(net.linear(x, 3 * heads * d), n, length, 3, heads, d)
        y = net.transpose(y, 2, 0, 3, 1, 4)
        if net.flag():
            parts = net.split(y, 0, [1, 1, 1])
            q, k, v = (net.squeeze(part, 0) for part in parts)
        else:
            rest = y.shape[1:]
            q, k, v = (
                net.op("Gather", rest, y, net.constant(np.array(i, dtype=np.int64)), axis=0)
                for i in range(3)
            )
    elif kind == "split":
        parts = net.split(net.linear(x, 3 * heads * d), 2, [heads * d] * 3)
        q, k, v = (_heads(net, part, heads) for part in parts)
    elif kind == "apart":
        q, k, v = (_heads(net, net.linear(x, heads * d), heads) for _ in range(3))
    else:
        q = _heads(net, net.linear(x, 2 * heads * d), 2 * heads)
        k, v = (_repeated(net, _heads(net, net.linear(x, heads * d), heads)) for _ in range(2))
        heads *= 2
    if net.flag() and d % 2 == 0:
        q, k = _rotary(net, q), _rotary(net, k)
    scores = net.op("MatMul", (n, heads, length, length), q, net.transpose(k, 0, 1, 3, 2))
    scores = net.binary("Mul", scores, net.constant(np.array(d**-0.5, dtype=np.float32)))
    weights = net.op("Softmax", scores.shape, scores, axis=3)
    mixed = net.op("MatMul", (n, heads, length, d), weights, v)
    flat = net.reshape(net.transpose(mixed, 0, 2, 1, 3), n, length, heads * d)
    return net.linear(flat, x.shape[-1])


def _repeated(net: Network, x: Tensor) -> Tensor:
    """Every key and value head twice, as grouped-query attention has it."""
    n, h, length, d = x.shape
    shape = (n, h, 1, length, d)
    if net.opset >= 13:
        y = net.op("Unsqueeze", shape, x, net.ints(2))
    else:
        y = net.op("Unsqueeze", shape, x, axes=[2])
    y = net.op("Expand", (n, h, 2, length, d), y, net.ints(1, 1, 2, 1, 1))
    return net.reshape(y, n, 2 * h, length, d)


def einsum_mix(net: Network, x: Tensor) -> Tensor:
    c, h = x.shape[2], net.choose(2, 3)
    kernel = net.weight(c, h, 5, fan=c)
    y = net.op("Einsum", (*x.shape[:2], h, 5), x, kernel, equation="blc,chd->blhd")
    return net.linear(net.reshape(y, *x.shape[:2], 5 * h), c)


def token_mix(net: Network, x: Tensor) -> Tensor:
    return net.transpose(perceptron(net, net.transpose(x, 0, 2, 1)), 0, 2, 1)


def either(net: Network, x: Tensor) -> Tensor:
    """One of two blocks."""
    return net.either(lambda: sequence_leaf(net, x), lambda: sequence_leaf(net, x))


def looped(net: Network, x: Tensor) -> Tensor:
    """One block several times, with the same weights; what it makes on the way matters, too."""
    trips = net.number(1, 3)
    y, steps = net.loop(x, trips, lambda s: net.layer_norm(sequence_leaf(net, s)))
    total = net.reduce("ReduceMean", steps, 0, keep=False)
    return net.linear(net.binary("Add", y, total) if net.flag() else total, x.shape[-1])


def recurrent(net: Network, x: Tensor) -> Tensor:
    """A plain recurrent cell over the tokens."""
    hidden = net.width()
    start = net.linear(net.reduce("ReduceMean", x, 1, keep=False), hidden)

    def cell(state: Tensor, part: Tensor) -> Tensor:
        return net.unary(
            net.binary("Add", net.linear(part, hidden), net.linear(state, hidden)), "Tanh"
        )

    last, states = net.scan(start, x, cell)
    if net.flag():
        states = net.binary("Add", states, net.reshape(last, x.shape[0], 1, hidden))
    return net.linear(states, x.shape[-1])


LEAF_SEQUENCES = (perceptron, attention, attention, einsum_mix, token_mix)
SEQUENCES = (*LEAF_SEQUENCES, either, looped, recurrent)


def sequence_leaf(net: Network, x: Tensor) -> Tensor:
    y: Tensor = net.choose(*LEAF_SEQUENCES, either)(net, x)
    return y


def sequence_block(net: Network, x: Tensor) -> Tensor:
    before = net.flag()
    y = net.choose(*SEQUENCES)(net, net.layer_norm(x) if before else x)
    y = net.binary("Add", x, y)
    return y if before else net.layer_norm(y)


# Whole networks.


def _head(net: Network, x: Tensor) -> Tensor:
    n, c = x.shape[:2]
    kind = net.choose("pool", "flatten", "mean")
    if kind == "pool":
        x = net.op("Flatten", (n, c), net.op("GlobalAveragePool", (n, c, 1, 1), x), axis=1)
    elif kind == "flatten":
        x = net.reshape(x, n, prod(x.shape[1:]))
    else:
        x = net.reduce("ReduceMean", net.reduce("ReduceMean", x, 3, keep=False), 2, keep=False)
    if net.flag():
        x = net.unary(net.linear(x, net.width()))
    return net.linear(x, 3)


def image_network(net: Network) -> onnx.ModelProto:
    x = net.conv(net.input(2, 3, 6, 6), net.width(), size=3)
    middle = x
    for place in range(net.number(1, 6)):
        x = image_block(net, x)
        middle = x if place == 0 else middle
    y = _head(net, x)
    return net.finish(y, net.conv(middle, 2)) if net.flag() else net.finish(y)


def sequence_network(net: Network) -> onnx.ModelProto:
    length, c = 5, net.width()
    if net.flag():
        ids = net.input(2, length, kind=TensorProto.INT64)
        x = net.op("Gather", (2, length, c), net.weight(23, c, fan=1), ids, axis=0)
        x = net.binary("Add", x, net.weight(length, c, fan=4))
    else:
        x = net.linear(net.input(2, length, 3), c)
    for _ in range(net.number(1, 3)):
        x = sequence_block(net, x)
    if net.flag():
        index = net.constant(np.array(0, dtype=np.int64))
        y = net.op("Gather", (2, c), x, index, axis=1)
    else:
        y = net.reduce("ReduceMean", x, 1, keep=False)
    return net.finish(net.linear(y, 3))


def patch_network(net: Network) -> onnx.ModelProto:
    """Convolutions, then tokens: patches are channels that become features."""
    x = image_leaf(net, net.conv(net.input(2, 3, 6, 6), net.width(), size=3))
    n, c, h, w = x.shape
    x = net.transpose(net.reshape(x, n, c, h * w), 0, 2, 1)
    x = sequence_block(net, x)
    if net.flag():
        x = net.reshape(net.transpose(x, 0, 2, 1), n, c, h, w)
        return net.finish(_head(net, image_leaf(net, x)))
    return net.finish(net.linear(net.reduce("ReduceMean", x, 1, keep=False), 3))


@st.composite
def networks(draw: Callable[[st.SearchStrategy[Any]], Any]) -> onnx.ModelProto:
    """Random networks of all three families."""
    net = Network(draw)
    kind = net.choose(image_network, image_network, sequence_network, patch_network)
    model: onnx.ModelProto = kind(net)
    return model
