"""Blocks over tokens, N L C, and where tokens come from."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from tests.random_graphs.attention import attention, windowed
from tests.random_graphs.builder import Network, Size, Tensor, told
from tests.random_graphs.elementwise import activation, binary
from tests.random_graphs.layers import linear
from tests.random_graphs.normalizing import layer_norm
from tests.random_graphs.positions import positions
from tests.random_graphs.shaping import (
    concat,
    expand,
    parts,
    rearrange,
    size_of,
    slice_,
    sliced_to,
    unsqueeze,
)


def perceptron(net: Network, x: Tensor) -> Tensor:
    inner = net.width()
    if net.flag():
        y = activation(net, linear(net, x, inner))
    else:
        a, b = parts(net, linear(net, x, 2 * inner), x.axis, [inner, inner])
        y = binary(net, "Mul", a, net.op("Sigmoid", b.shape, b))
    return linear(net, y, x.channels)


def across_tokens(net: Network, x: Tensor) -> Tensor:
    """A perceptron over the places, as in MLP-Mixer and gMLP."""
    if isinstance(x.shape[1], Size):
        return perceptron(net, x)
    y = rearrange(net, x, "n l c -> n c l").at(2)
    return rearrange(net, perceptron(net, y), "n c l -> n l c")


def einsum_layers(net: Network, x: Tensor) -> Tensor:
    if not net.has("Einsum"):
        return perceptron(net, x)
    n, length, c = x.shape
    h, d = net.choose(2, 3), net.choose(3, 5)
    given = net.weight(c, h, d, fan=c)
    y = net.op("Einsum", (n, length, h, d), x, given, equation="blc,chd->blhd")
    if net.flag():
        return linear(net, rearrange(net, y, "n l h c -> n l (h c)"), c)
    back = net.weight(h, d, c, fan=h * d)
    return net.op("Einsum", x.shape, y, back, equation="blhd,hdc->blc").at(2)


def transformer(net: Network, x: Tensor) -> Tensor:
    """Norm, something, residual, in either order."""
    first = net.flag()
    inner = net.choose(attention, perceptron, attention, windowed, across_tokens, einsum_layers)
    y: Tensor = inner(net, layer_norm(net, x) if first else x)
    if y.shape != x.shape:
        return y
    y = binary(net, "Add", x, y)
    return y if first else layer_norm(net, y)


def class_token(net: Network, x: Tensor) -> Tensor:
    """A token of its own in front, repeated for each sample."""
    n, _, c = x.shape
    token = Tensor(net.weight(1, 1, c, fan=4), (1, 1, c), 2)
    if net.flag() and net.opset >= 8:
        first = expand(net, token, (n, 1, c), x).at(2)
    else:
        ones = net.ints(1, 1)
        repeats = net.op("Concat", (3,), size_of(net, x, 0), ones, axis=0)
        first = net.op("Tile", (n, 1, c), token, repeats).at(2)
    return concat(net, [first, x], 1)


def placed(net: Network, x: Tensor) -> Tensor:
    """Positions added: a table, as much of it as is needed, or looked up by computed numbers."""
    length, c = x.shape[1:]
    style = net.choose("table", "slice", "range")
    if style == "table" and not isinstance(length, Size):
        return binary(net, "Add", x, Tensor(net.weight(length, c, fan=4), (length, c), 1))
    if not told(length):
        return x
    table = Tensor(net.weight(64, c, fan=4), (64, c))
    if style == "range" and net.opset >= 11:
        places = positions(net, x, 1)
        whole = net.op("Cast", places.shape, places, to=TensorProto.INT64)
        found = net.op("Gather", (length, c), table, whole, axis=0).at(1)
        return binary(net, "Add", x, found)
    return binary(net, "Add", x, sliced_to(net, table, 0, x, 1).at(1))


def shifted(net: Network, x: Tensor) -> Tensor:
    """Each token beside the one before it (RWKV, Swin's patch merging)."""
    length = x.shape[1]
    if isinstance(length, Size) or length % 2 or net.opset < 10:
        return x
    pair = [slice_(net, x, 1, i, length, 2) for i in range(2)]
    return linear(net, concat(net, pair, 2), net.width())


# Looking up by numbers.


def looked_up_again(net: Network, x: Tensor) -> Tensor:
    """The largest feature of a token tells which row of a table is added."""
    n, length, c = x.shape
    largest = net.op("ArgMax", (n, length), x, axis=2, keepdims=0)
    row = net.op("Gather", (n, length, c), net.weight(c, c, fan=1), largest, axis=0).at(2)
    return binary(net, "Add", x, row)


def selected(net: Network, x: Tensor) -> Tensor:
    """Two tokens of each sample, whose places an input tells."""
    n, length, c = x.shape
    kind = net.choose("GatherElements", "GatherND")
    if not net.has(kind) or net.opset < 12 or not told(n) or isinstance(length, Size):
        return x
    shape = (n, 2, c)
    places = unsqueeze(net, net.input(n, 2, kind=TensorProto.INT64), 2).at(2)
    if kind == "GatherND":
        return net.op(kind, shape, x, places, batch_dims=1).at(2)
    everywhere = net.op("Expand", shape, places, net.ints(1, 1, c))
    return net.op(kind, shape, x, everywhere, axis=1).at(2)


def overwritten(net: Network, x: Tensor) -> Tensor:
    """A token is replaced in all samples by what becomes of another one."""
    n, length, c = x.shape
    if not net.has("ScatterND") or isinstance(length, Size):
        return x
    first = rearrange(net, x, "n l c -> l n c").at(2)
    row = slice_(net, first, 0, 0, 1)
    updates = activation(net, linear(net, row, c) if net.flag() else row)
    indices = net.constant(np.array([[length - 1]], dtype=np.int64))
    y = net.op("ScatterND", (length, n, c), first, indices, updates).at(2)
    return rearrange(net, y, "l n c -> n l c")


BLOCKS = (
    perceptron,
    transformer,
    transformer,
    transformer,
    attention,
    across_tokens,
    einsum_layers,
    class_token,
    placed,
    shifted,
    looked_up_again,
    selected,
    overwritten,
)


# Sources of tokens.


def embedded(net: Network) -> Tensor:
    """Tokens of numbers looked up in a table."""
    n, length, c = net.batch(), net.extent(6, "length"), net.width()
    ids = net.input(n, length, kind=TensorProto.INT64)
    table = net.weight(23, c, fan=1)
    x = net.op("Gather", (n, length, c), table, ids, axis=0).at(2)
    return placed(net, x) if net.flag() else x
