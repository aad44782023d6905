"""Random networks: blocks in a row, over images, tokens and vectors, and ways between them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import onnx

from tests.random_graphs import (
    channels,
    control,
    elementwise,
    images,
    normalizing,
    quantized,
    recurrent,
    tokens,
)
from tests.random_graphs.builder import Choices, Network, Size, Tensor
from tests.random_graphs.layers import conv, linear, mix
from tests.random_graphs.shaping import pick, rearrange, reduce_

Block = Callable[[Network, Tensor], Tensor]
LARGEST = 1200
"""Elements of one sample; more are brought down."""

POINTWISE: tuple[Block, ...] = (
    elementwise.pointwise,
    elementwise.pointwise,
    elementwise.unary,
    elementwise.unary,
    elementwise.unary,
    elementwise.clip,
    elementwise.dropout,
    elementwise.cast,
    elementwise.cast_like,
    elementwise.without_nan,
    elementwise.gated_by_truth,
    elementwise.bits,
)
ANYWHERE: tuple[Block, ...] = (
    *channels.BLOCKS,
    *control.BLOCKS,
    *POINTWISE,
    *normalizing.BLOCKS,
    *quantized.BLOCKS,
)


# Ways between layouts.


def to_tokens(net: Network, x: Tensor) -> Tensor:
    """Places become tokens, channels features; with a stride of their own, patches."""
    return rearrange(net, x, "n c *s -> n (*s) c")


def to_image(net: Network, x: Tensor) -> Tensor:
    length = x.shape[1]
    if isinstance(length, Size) or net.flag():
        return rearrange(net, x, "n l c -> n c l")
    h = net.divisor(length)
    return rearrange(net, x, "n (h w) c -> n c h w", h=h, w=length // h)


def to_vector(net: Network, x: Tensor) -> Tensor:
    """One number for each channel: a mean over the places, the first place, or all of them."""
    places = [i for i in range(1, x.rank) if i != x.axis]
    style = net.choose("mean", "first", "all")
    if style == "all" and not any(isinstance(n, Size) for n in x.shape[1:]):
        y = images.flattened(net, x) if x.is_image else x
        if y.rank == 2 or prod(x.shape[1:]) > 400:
            return y if y.rank == 2 else to_vector(net, y)
        names = " ".join(f"s{i}" for i in range(x.rank - 1))
        return rearrange(net, x, f"n {names} -> n ({names})").at(1)
    if style == "first":
        y = x
        for axis in reversed(places):
            y = pick(net, y, axis, 0)
        return y.at(1)
    return reduce_(net, "ReduceMean", x, places, keep=False).at(1)


def from_vector(net: Network, x: Tensor) -> Tensor:
    """A vector spreads over places again, as in generators."""
    c = net.width()
    if net.flag():
        return rearrange(net, linear(net, x, c * 4), "n (l c) -> n l c", l=4)
    return rearrange(net, linear(net, x, c * 4), "n (c h w) -> n c h w", h=2, w=2)


Table = dict[str, tuple[Block, ...]]
BLOCKS: Table = {
    "image": (*images.BLOCKS, *ANYWHERE, to_tokens, to_vector),
    "tokens": (*tokens.BLOCKS, *tokens.BLOCKS, *recurrent.BLOCKS, *ANYWHERE, to_image, to_vector),
    "vector": (*ANYWHERE, from_vector),
}
"""What may follow, by layout; a block that stands there twice is twice as likely."""


def layout_of(x: Tensor) -> str:
    return "image" if x.is_image else "tokens" if x.is_tokens and x.rank == 3 else "vector"


def grow(net: Network, x: Tensor) -> Tensor:
    """One random block that suits the layout."""
    return bounded(net, net.choose(*BLOCKS[layout_of(x)])(net, x))


def bounded(net: Network, x: Tensor) -> Tensor:
    """Neither too wide nor too large."""
    if isinstance(x.channels, Size) or x.channels > channels.WIDEST:
        x = mix(net, x, net.width())
    if prod(x.shape[1:]) > LARGEST and x.is_image:
        x = conv(net, x, net.width(), size=3, stride=2)
    return x


# Whole networks.


def image_start(net: Network) -> Tensor:
    rank = net.choose(2, 2, 2, 1, 3)
    labels = ("height", "width")
    sizes = [net.extent(8, labels[i]) if rank < 3 else 4 for i in range(rank)]
    return conv(net, net.input(net.batch(), 3, *sizes), net.width(), size=3)


def token_start(net: Network) -> Tensor:
    if net.flag():
        return tokens.embedded(net)
    x = net.input(net.batch(), net.extent(6, "length"), 3, axis=2)
    return linear(net, x, net.width())


def vector_start(net: Network) -> Tensor:
    return linear(net, net.input(net.batch(), 5), net.width())


STARTS = {"image": image_start, "tokens": token_start, "vector": vector_start}


def network(choices: Choices, block: Block | None = None) -> onnx.ModelProto:
    """A network that contains a block, if it can stand behind what comes before it."""
    net = Network(choices, grow)
    layouts = [name for name, table in BLOCKS.items() if block is None or block in table]
    layout = net.choose(*layouts)
    x = STARTS[layout](net)
    before = grow(net, x) if net.flag() else x
    x = before if layout_of(before) == layout else x
    x = bounded(net, block(net, x)) if block is not None else x
    for _ in range(net.number(0, 4)):
        x = grow(net, x)
    net.output(ending(net, x))
    return net.finish()


def ending(net: Network, x: Tensor) -> Tensor:
    """A layer over whatever there is, or a classifier."""
    if x.rank > 2 and net.flag():
        x = to_vector(net, x)
    return mix(net, x, 3)
