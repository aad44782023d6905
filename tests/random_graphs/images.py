"""Blocks over images of one, two or three spatial axes, N C *S."""

from __future__ import annotations

from math import prod

import numpy as np

from tests.random_graphs.builder import Network, Size, Tensor
from tests.random_graphs.elementwise import activation, binary, combine
from tests.random_graphs.layers import conv, groups_of, kernel, linear, mix, transposed_conv
from tests.random_graphs.normalizing import batch_norm
from tests.random_graphs.shaping import (
    concat,
    expand,
    pad,
    parts,
    rearrange,
    reduce_,
    size_of,
    slice_,
    unsqueeze,
)

LARGEST = 12


# Convolutions.


def plain(net: Network, x: Tensor) -> Tensor:
    y = conv(net, x, net.width(), size=net.choose(1, 3))
    return activation(net, batch_norm(net, y) if net.flag() else y)


def strided(net: Network, x: Tensor) -> Tensor:
    if min(x.spatial) < 2:
        return x
    return conv(net, x, net.width(), size=net.choose(3, 2), stride=2)


def grouped(net: Network, x: Tensor) -> Tensor:
    group, out = groups_of(net, x)
    y = conv(net, x, out, size=net.choose(1, 3), group=group)
    if net.flag():
        return y
    y = activation(net, batch_norm(net, y))
    return conv(net, y, group * net.number(1, 3), group=group)


def shuffled_groups(net: Network, x: Tensor) -> Tensor:
    """Groups that see each other by a shuffle, of any number of channels (ShuffleNet)."""
    g, c = net.choose(2, 3, 4), net.number(6, 14)
    y = conv(net, conv(net, x, g * 2), g * c, group=g)
    y = activation(net, batch_norm(net, y) if net.flag() else y)
    y = rearrange(net, y, "n (g c) *s -> n (c g) *s", g=g)
    if net.flag():
        y = conv(net, y, y.channels, size=3, group=y.channels)
    h = net.choose(g, g, *(n for n in (2, 3, 4) if g * c % n == 0))
    if net.rarely():
        return transposed_conv(net, y, h * net.number(1, 3), group=h)
    return conv(net, y, h * net.number(1, 3), size=net.choose(1, 3), group=h)


def depthwise(net: Network, x: Tensor) -> Tensor:
    out = x.channels * net.choose(1, 1, 2)
    y = conv(net, x, out, size=3, group=x.channels, dilation=net.choose(1, 1, 2))
    return conv(net, activation(net, y), net.width()) if net.flag() else y


def inverted(net: Network, x: Tensor) -> Tensor:
    """Wide in the middle: expand, depthwise, gate, project."""
    y = activation(net, conv(net, x, x.channels * 2))
    y = conv(net, y, y.channels, size=3, group=y.channels)
    y = squeeze_excite(net, y) if net.flag() else y
    return binary(net, "Add", x, conv(net, y, x.channels))


def larger_window(net: Network, x: Tensor) -> Tensor:
    """Causal, dilated or of even size; 1-D nets of audio are made of these."""
    size, dilation = net.choose(2, 3, 5), net.choose(1, 2, 3)
    y = conv(net, x, 2 * net.width(), size=size, dilation=dilation)
    a, b = parts(net, y, 1, [y.channels // 2] * 2)
    a, b = net.op("Tanh", a.shape, a), net.op("Sigmoid", b.shape, b)
    return binary(net, "Mul", a, b)


def upwards(net: Network, x: Tensor) -> Tensor:
    if max(x.spatial) > LARGEST:
        return x
    group, out = groups_of(net, x) if net.rarely() else (1, net.width())
    return transposed_conv(net, x, out, group=group)


def ghost(net: Network, x: Tensor) -> Tensor:
    y = conv(net, x, net.width())
    return concat(net, [y, conv(net, y, y.channels, size=3, group=y.channels)], 1)


def reparameterised(net: Network, x: Tensor) -> Tensor:
    c = x.channels
    paths = [batch_norm(net, conv(net, x, c, size=size)) for size in (3, 1)]
    paths += [batch_norm(net, x)] if net.flag() else []
    total = paths[0]
    for path in paths[1:]:
        total = binary(net, "Add", total, path)
    return activation(net, total)


# Pooling and sizes.


def pool(net: Network, x: Tensor) -> Tensor:
    kind = net.choose("MaxPool", "AveragePool", "LpPool")
    size = net.choose(3, 2)
    stride = net.choose(1, 2) if min(x.spatial) > 2 else 1
    if stride == 1:
        size = 3
    before = size // 2 if size == 3 else 0
    rank = len(x.spatial)
    ceil = stride == 2 and net.rarely() and net.opset >= 10 and kind != "LpPool"
    before = 0 if ceil else before
    shape = [(n + 2 * before - size + (stride - 1) * ceil) // stride + 1 for n in x.spatial]
    options: dict[str, object] = {"pads": [before] * 2 * rank} if before or net.flag() else {}
    options |= {"ceil_mode": 1} if ceil else {}
    options |= {"count_include_pad": 1} if kind == "AveragePool" and net.flag() else {}
    strides = [stride] * rank
    return net.op(
        kind, (*x.shape[:2], *shape), x, kernel_shape=[size] * rank, strides=strides, **options
    )


def pyramid(net: Network, x: Tensor) -> Tensor:
    """Pools of several sizes, end to end: spatial pyramid pooling."""
    rank = len(x.spatial)
    found = [x]
    for size in (3, 5)[: net.number(1, 2)]:
        options = {"kernel_shape": [size] * rank, "pads": [size // 2] * 2 * rank}
        found.append(net.op("MaxPool", x.shape, found[-1], strides=[1] * rank, **options))
    return mix(net, concat(net, found, 1), net.width())


def context(net: Network, x: Tensor) -> Tensor:
    """What all places together say, spread over all places again."""
    y = activation(net, mix(net, global_pool(net, x), net.width()))
    shape = (x.shape[0], y.channels, *x.spatial)
    like = reduce_(net, "ReduceMax", x, [1])
    return concat(net, [x, expand(net, y, shape, like)], 1)


def global_pool(net: Network, x: Tensor) -> Tensor:
    kinds = ["GlobalAveragePool", "GlobalMaxPool", "ReduceMean"]
    kinds += ["GlobalLpPool"] if net.opset < 22 else []  # ONNX Runtime has no later one
    kind = net.choose(*kinds)
    if kind == "ReduceMean":
        return reduce_(net, kind, x, range(2, x.rank))
    return net.op(kind, (*x.shape[:2], *[1] * len(x.spatial)), x)


def resize(net: Network, x: Tensor) -> Tensor:
    """Twice as large, by a factor or to a size."""
    if max(x.spatial) > LARGEST or len(x.spatial) > 2:
        return x
    return resized(net, x, None)


def resized(net: Network, x: Tensor, like: Tensor | None) -> Tensor:
    """To the size of `like`, or twice as large."""
    shape = (*x.shape[:2], *(like.spatial if like else (n * 2 for n in x.spatial)))
    mode = "nearest" if net.flag() or len(x.spatial) == 3 else "linear"
    factors = np.array([t / s for t, s in zip(shape, x.shape, strict=True)], dtype=np.float32)
    if net.opset < 9:
        return net.op("Upsample", shape, x, scales=factors.tolist(), mode=mode)
    scales = net.constant(factors)
    if net.opset == 9:
        return net.op("Upsample", shape, x, scales, mode=mode)
    if net.opset == 10:
        return net.op("Resize", shape, x, scales, mode=mode)
    way = {"coordinate_transformation_mode": net.choose("asymmetric", "half_pixel")}
    if mode == "nearest":
        way = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    roi = "" if net.opset >= 13 else net.constant(np.zeros(0, dtype=np.float32))
    if like is None and net.flag():
        return net.op("Resize", shape, x, roi, scales, mode=mode, **way)
    if like is None and any(isinstance(n, Size) for n in shape):
        return net.op("Resize", shape, x, roi, scales, mode=mode, **way)
    none = "" if net.opset >= 13 else net.constant(np.zeros(0, dtype=np.float32))
    return net.op("Resize", shape, x, roi, none, _sizes(net, x, shape, like), mode=mode, **way)


def _sizes(net: Network, x: Tensor, shape: tuple[int, ...], like: Tensor | None) -> Tensor | str:
    """Batch and channels as they are, places as many as `like` has."""
    dynamic = any(isinstance(n, Size) for n in shape)
    if like is None or (not dynamic and net.flag()):
        if not dynamic:
            return net.ints(*shape)
        batch, rest = size_of(net, x, 0), net.ints(*shape[1:])
        return net.op("Concat", (x.rank,), batch, rest, axis=0)
    source = net.op("Shape", (x.rank,), x)
    other = net.op("Shape", (x.rank,), like)
    ends = slice_(net, source, 0, 0, 2), slice_(net, other, 0, 2, x.rank)
    return net.op("Concat", (x.rank,), *ends, axis=0)


def u_shape(net: Network, x: Tensor) -> Tensor:
    """Down, something, up again, beside what was before: U-Nets and feature pyramids."""
    if any(n % 2 for n in x.spatial):
        return x
    dynamic = any(isinstance(n, Size) for n in x.spatial)
    if dynamic and net.opset < 11:
        return x
    low = conv(net, x, net.width(), size=3, stride=2)
    inner = net.grow(low)
    low = inner if inner.is_image and inner.rank == x.rank else low
    halved = all(2 * n == t for n, t in zip(low.spatial, x.spatial, strict=True))
    if dynamic or not halved or (net.flag() and len(x.spatial) < 3):
        high = resized(net, low, x)
    else:
        rank = len(x.spatial)
        weights = net.weight(low.channels, low.channels, *[2] * rank, fan=low.channels)
        shape = (*low.shape[:2], *x.spatial)
        high = net.op("ConvTranspose", shape, low, weights, strides=[2] * rank)
    if net.flag():
        return concat(net, [x, high], 1)
    return binary(net, "Add", conv(net, x, high.channels), high)


def depth_to_space(net: Network, x: Tensor) -> Tensor:
    if x.rank != 4 or x.channels % 4 or max(x.spatial) > LARGEST:
        return x
    n, c, h, w = x.shape
    if net.flag():
        mode = {"mode": net.choose("DCR", "CRD")} if net.opset >= 11 else {}
        return net.op("DepthToSpace", (n, c // 4, h * 2, w * 2), x, blocksize=2, **mode)
    pattern = net.choose("n (c p q) h w -> n c (h p) (w q)", "n (p q c) h w -> n c (h p) (w q)")
    return rearrange(net, x, pattern, p=2, q=2)


def space_to_depth(net: Network, x: Tensor) -> Tensor:
    if x.rank != 4 or any(n % 2 or isinstance(n, Size) for n in x.spatial):
        return x
    n, c, h, w = x.shape
    style = net.choose("operator", "rearranged", "slices")
    if style == "operator":
        return net.op("SpaceToDepth", (n, c * 4, h // 2, w // 2), x, blocksize=2)
    if style == "rearranged" or net.opset < 10:
        pattern = "n c (h p) (w q) -> n (c p q) h w"
        return rearrange(net, x, pattern, p=2, q=2)
    corners = [
        slice_(net, slice_(net, x, 2, i, h, 2), 3, j, w, 2) for i in range(2) for j in range(2)
    ]
    return concat(net, corners, 1)


def bordered(net: Network, x: Tensor) -> Tensor:
    """Zeros around the places, or more channels of zeros as in option A of ResNet."""
    if any(isinstance(n, Size) for n in x.spatial) or max(x.spatial) > LARGEST:
        return x
    front, back = (net.number(0, 2), net.number(0, 2)) if net.flag() else (0, 0)
    places = len(x.spatial)
    before, after = (0, front, *[0] * places), (0, back, *[1] * places)
    if net.rarely() and not front + back and min(x.spatial) > 1:
        shape = (*x.shape[:2], *(n + 1 for n in x.spatial))
        if net.opset < 11:
            return net.op("Pad", shape, x, pads=[*before, *after], mode="reflect")
        return net.op("Pad", shape, x, net.ints(*before, *after), mode="reflect")
    return pad(net, x, before, after)


# Gates and attention over places.


def squeeze_excite(net: Network, x: Tensor) -> Tensor:
    pooled = global_pool(net, x)
    inner = net.number(2, 6)
    if net.flag():
        y = conv(net, activation(net, conv(net, pooled, inner)), x.channels)
    else:
        flat = rearrange(net, pooled, "n c *s -> n (c *s)")
        y = linear(net, activation(net, linear(net, flat, inner)), x.channels)
        y = unsqueeze(net, y, *range(2, x.rank)).at(1)
    kind = net.choose("Sigmoid", "HardSigmoid", "Tanh")
    return binary(net, "Mul", x, net.op(kind, y.shape, y))


def spatial_gate(net: Network, x: Tensor) -> Tensor:
    both = [reduce_(net, kind, x, [1]) for kind in ("ReduceMean", "ReduceMax")]
    gate = conv(net, concat(net, both, 1), 1, size=3)
    return binary(net, "Mul", x, net.op("Sigmoid", gate.shape, gate))


def over_channels(net: Network, x: Tensor) -> Tensor:
    """A 1-D convolution that runs over the channels (ECA): their places count."""
    pooled = global_pool(net, x)
    line = rearrange(net, pooled, "n c *s -> n 1 (c *s)").at(1)
    y = conv(net, line, 1, size=3)
    y = rearrange(net, y, "n 1 c -> n c")
    y = unsqueeze(net, y, *range(2, x.rank)).at(1)
    return binary(net, "Mul", x, net.op("Sigmoid", y.shape, y))


def selective(net: Network, x: Tensor) -> Tensor:
    """Branches weighed by a softmax over them: selective kernels, split attention."""
    c = net.width()
    ways = net.choose(2, 3)
    if net.flag():
        paths = [conv(net, x, c, size=1 + 2 * i) for i in range(ways)]
        joined = concat(net, [unsqueeze(net, p, 1) for p in paths], 1).at(2)
    else:
        fused = conv(net, x, ways * c, size=3)
        joined = rearrange(net, fused, "n (k c) *s -> n k c *s", k=ways)
    total = reduce_(net, "ReduceSum", joined, [1], keep=False).at(1)
    flat = rearrange(net, global_pool(net, total), "n c *s -> n (c *s)")
    scores = linear(net, activation(net, linear(net, flat, net.number(2, 6))), ways * c)
    scores = rearrange(net, scores, "n (k c) -> n k c", k=ways)
    if net.opset >= 13:
        weights = net.op("Softmax", scores.shape, scores, axis=1)
    else:
        moved = rearrange(net, scores, "n k c -> n c k")
        moved = net.op("Softmax", moved.shape, moved, axis=2)
        weights = rearrange(net, moved, "n c k -> n k c")
    weights = unsqueeze(net, weights, *range(3, joined.rank)).at(2)
    return reduce_(net, "ReduceSum", binary(net, "Mul", joined, weights), [1], keep=False).at(1)


def dynamic_filter(net: Network, x: Tensor) -> Tensor:
    """Places weighed by a softmax over them (global context)."""
    n, c = x.shape[:2]
    scores = rearrange(net, conv(net, x, 1), "n c *s -> n (*s) c")
    scores = net.op("Softmax", scores.shape, scores, axis=1) if net.opset >= 13 else scores
    values = rearrange(net, x, "n c *s -> n c (*s)")
    seen = net.op("MatMul", (n, c, 1), values, scores)
    y = rearrange(net, seen, "n c 1 -> n c")
    y = unsqueeze(net, linear(net, y, c), *range(2, x.rank)).at(1)
    return combine(net, x, y)


def siamese_convs(net: Network, x: Tensor) -> Tensor:
    """One kernel used twice in a row."""
    window = [net.choose(1, 3)] * len(x.spatial)
    weights = kernel(net, x.channels, x.channels, *window)
    first = activation(net, conv(net, x, x.channels, size=window[0], weights=weights))
    return conv(net, first, x.channels, size=window[0], weights=weights)


def flattened(net: Network, x: Tensor) -> Tensor:
    """All places of all channels into a vector, and back to an image sometimes."""
    if any(isinstance(n, Size) for n in x.spatial) or x.channels * prod(x.spatial) > 400:
        return x
    y = linear(net, rearrange(net, x, "n c *s -> n (c *s)"), net.width())
    if net.flag():
        return y
    c = net.width()
    y = linear(net, activation(net, y), c * prod(x.spatial))
    names = " ".join(f"s{i}" for i in range(len(x.spatial)))
    sizes = {f"s{i}": n for i, n in enumerate(x.spatial)}
    return rearrange(net, y, f"n (c {names}) -> n c {names}", **sizes)


BLOCKS = (
    plain,
    plain,
    strided,
    grouped,
    shuffled_groups,
    depthwise,
    inverted,
    larger_window,
    upwards,
    ghost,
    reparameterised,
    pool,
    pyramid,
    context,
    resize,
    u_shape,
    depth_to_space,
    space_to_depth,
    bordered,
    squeeze_excite,
    spatial_gate,
    over_channels,
    selective,
    dynamic_filter,
    siamese_convs,
    flattened,
)
