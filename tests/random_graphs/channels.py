"""Blocks that join, cut, move and repeat channels, wherever the channels lie."""

from __future__ import annotations

from tests.random_graphs.builder import Network, Size, Tensor, told
from tests.random_graphs.elementwise import activation, binary, combine
from tests.random_graphs.layers import conv, linear, mix
from tests.random_graphs.normalizing import softmax
from tests.random_graphs.shaping import (
    channels_at,
    channels_last,
    concat,
    expand,
    pad,
    parts,
    pick,
    rearrange,
    reduce_,
    sizes_like,
    slice_,
    split,
    unsqueeze,
)

WIDEST = 40


def layer(net: Network, x: Tensor) -> Tensor:
    return activation(net, mix(net, x, net.width()))


def residual(net: Network, x: Tensor) -> Tensor:
    y = mix(net, net.grow(x), x.channels)
    return combine(net, x, y) if y.shape == x.shape else y


def sum_of_layers(net: Network, x: Tensor) -> Tensor:
    c = net.width()
    return binary(net, net.choose("Add", "Mul", "Max", "Sub"), mix(net, x, c), mix(net, x, c))


def branches(net: Network, x: Tensor) -> Tensor:
    made = [mix(net, x, net.width()) for _ in range(net.number(1, 3))]
    made += [x] if net.flag() or len(made) < 2 else []
    return concat(net, made, x.axis)


def dense(net: Network, x: Tensor) -> Tensor:
    """Each layer sees everything before it."""
    growth = net.number(2, 4)
    for _ in range(net.number(1, 3)):
        x = concat(net, [x, mix(net, x, growth)], x.axis)
    return x


def cut(net: Network, x: Tensor) -> Tensor:
    """Two parts: one gates the other, or goes a way of its own."""
    c = x.channels
    if c < 2:
        return x
    at = c // 2 if c % 2 == 0 and net.flag() else net.number(1, c - 1)
    a, b = parts(net, x, x.axis, [at, c - at])
    if a.shape == b.shape and net.flag():
        gate = net.op(net.choose("Sigmoid", "Tanh"), b.shape, b)
        return binary(net, net.choose("Mul", "Add"), a, gate)
    grown = net.grow(a)
    a = grown if grown.axis == a.axis and grown.sized(a.axis, 1) == a.sized(a.axis, 1) else a
    return concat(net, [a, b] if net.flag() else [b, a], x.axis)


def chunks(net: Network, x: Tensor) -> Tensor:
    """Several parts, equal or not; some are dropped, some mixed, in any order (C2f, Res2Net)."""
    c, count = x.channels, net.number(2, 4)
    if c < count:
        return x
    size = -(-c // count)
    sizes = [size] * (count - 1) + [c - size * (count - 1)]
    if sizes[-1] < 1:
        sizes = [c // count] * (count - 1) + [c - c // count * (count - 1)]
    made = parts(net, x, x.axis, sizes) if net.flag() else split(net, x, x.axis, sizes)
    used: list[Tensor] = []
    for part in made:
        before = used[-1] if used and used[-1].shape == part.shape and net.flag() else None
        if before is not None:
            part = mix(net, binary(net, "Add", part, before), part.channels)
        if not used or not net.rarely():
            used.append(part)
    return concat(net, used[::-1] if net.rarely() else used, x.axis) if used[1:] else used[0]


def shift_and_scale(net: Network, x: Tensor) -> Tensor:
    """A second input tells a scale and a shift of each channel (FiLM, AdaLN)."""
    if not told(x.shape[0]):
        return x
    both = linear(net, net.input(x.shape[0], 3), 2 * x.channels)
    scale, shift = (_on_axis(net, part, x) for part in parts(net, both, 1, [x.channels] * 2))
    grown = net.op("Add", scale.shape, scale, net.scalar(1.0))
    return binary(net, "Add", binary(net, "Mul", x, grown), shift)


def _on_axis(net: Network, vector: Tensor, x: Tensor) -> Tensor:
    """``N C`` to where `x` has its channels."""
    places = [i for i in range(1, x.rank) if i != x.axis]
    return unsqueeze(net, vector, *places).at(x.axis) if places else vector


# Orders.


def shuffle(net: Network, x: Tensor) -> Tensor:
    g = net.divisor(x.channels)
    if x.axis == 1:
        pattern, back = "n (g c) *s -> n g c *s", "n g c *s -> n (c g) *s"
    elif x.rank == 3:
        pattern, back = "n l (g c) -> n l g c", "n l g c -> n l (c g)"
    else:
        return x
    if net.flag():
        left, right = pattern.split(" -> ")[0], back.split(" -> ")[1]
        return rearrange(net, x, f"{left} -> {right}", g=g)
    y = rearrange(net, x, pattern, g=g)
    group = y.axis - 1
    y = softmax_or_scale(net, y, group)
    return rearrange(net, y, back)


def softmax_or_scale(net: Network, x: Tensor, axis: int) -> Tensor:
    """A number for each group, or a softmax over something."""
    if net.rarely():
        return softmax(net, x)
    shape = (x.shape[axis], *[1] * (x.rank - 1 - axis))
    return binary(net, "Mul", x, Tensor(net.scales(*shape), shape, 0))


def interleaved(net: Network, x: Tensor) -> Tensor:
    """Every second or third channel."""
    step = net.choose(2, 3)
    if x.channels % step or net.opset < 10:
        return x
    made = [slice_(net, x, x.axis, i, x.channels, step) for i in range(step)]
    a, b = made[0], made[-1]
    if net.flag():
        return binary(net, "Mul", a, b)
    if net.flag():
        return concat(net, [net.op("Neg", b.shape, b), a], x.axis)
    both = concat(net, [unsqueeze(net, t, x.axis + 1) for t in (a, b)], x.axis + 1)
    if x.axis == 1:
        return rearrange(net, both, "n c k *s -> n (c k) *s")
    return a


def mirrored(net: Network, x: Tensor) -> Tensor:
    """Backwards, rotated or picked in an order of no pattern."""
    c = x.channels
    style = net.choose("backwards", "rotated", "gathered", "backwards by two")
    if style.startswith("backwards") and net.opset >= 10 and c > 2:
        step = -1 if style == "backwards" else -2
        y = slice_(net, x, x.axis, c - 1, -1, step)
        return combine(net, x, y) if y.shape == x.shape else mix(net, y, net.width())
    if style == "rotated" and c > 1:
        at = net.number(1, c - 1)
        a, b = parts(net, x, x.axis, [at, c - at])
        return concat(net, [b, a], x.axis)
    order = [(i * 5 + 2) % c for i in range(c)] if net.flag() else [*range(1, c), 0]
    return net.op("Gather", x.shape, x, net.ints(*order), axis=x.axis)


def clipped(net: Network, x: Tensor) -> Tensor:
    """Some of the channels, by any bounds and step."""
    c = x.channels
    start, step = net.number(0, c // 2), net.choose(1, 2, 3) if net.opset >= 10 else 1
    stop = net.number(start + 1, c)
    return slice_(net, x, x.axis, start, stop, step)


# Repetition and padding.


def padded(net: Network, x: Tensor) -> Tensor:
    before, after = ([0] * x.rank for _ in range(2))
    before[x.axis], after[x.axis] = net.number(0, 2), net.number(0, 2)
    if net.flag():
        return pad(net, x, before, after)
    count = net.number(1, 3)
    shape = x.sized(x.axis, count)
    if net.opset < 9:
        return x
    fill = net.filling(net.choose(0.0, 1.0))
    zeros = net.op("ConstantOfShape", shape, sizes_like(net, x, shape), value=fill).at(x.axis)
    return concat(net, [x, zeros] if net.flag() else [zeros, x], x.axis)


def repeated(net: Network, x: Tensor) -> Tensor:
    """All channels several times over, or one for all."""
    times = net.number(1, 3)
    style = net.choose("tile", "expand", "interleave", "like")
    if style == "tile":
        counts = [times if i == x.axis else 1 for i in range(x.rank)]
        return net.op("Tile", x.sized(x.axis, times * x.channels), x, net.ints(*counts))
    if style == "interleave" and net.opset >= 8 and not any(isinstance(n, Size) for n in x.shape):
        shape = (*x.shape[: x.axis + 1], times, *x.shape[x.axis + 1 :])
        y = unsqueeze(net, x, x.axis + 1)
        y = net.op("Expand", shape, y, net.ints(*shape)).at(x.axis)
        flat = x.sized(x.axis, times * x.channels)
        return net.op("Reshape", flat, y, net.ints(*flat)).at(x.axis)
    if style == "like" and net.opset >= 9:
        sizes = net.op("Shape", (x.rank,), x)
        ones = net.op("ConstantOfShape", x.shape, sizes, value=net.filling(1.0))
        return binary(net, "Add", x, ones.at(x.axis))
    one = reduce_(net, "ReduceMean", x, [x.axis]) if net.flag() else mix(net, x, 1)
    return expand(net, one, x.shape, x)


def looked_up(net: Network, x: Tensor) -> Tensor:
    """One of k equal parts, as ``x[:, 1]`` after a reshape."""
    if x.axis != 1:
        return channels_at(net, looked_up(net, channels_at(net, x, 1)), x.axis)
    k = net.divisor(x.channels)
    y = rearrange(net, x, "n (k c) *s -> n k c *s", k=k)
    picked = pick(net, y, 1, net.number(0, k - 1))
    if net.flag():
        return picked
    total = reduce_(net, "ReduceSum", y, [1], keep=False)
    return binary(net, "Add", total, picked)


def twice(net: Network, x: Tensor) -> Tensor:
    """A block over two tensors with one set of weights: siamese branches."""
    other = net.op("Tanh", x.shape, x)
    since = net.mark()
    y = net.grow(layer(net, x))
    z = net.replay(since, x, other, y)
    return binary(net, "Sub", y, z) if net.flag() else concat(net, [y, z], y.axis)


def experts(net: Network, x: Tensor) -> Tensor:
    """A softmax over a few layers weighs what they make."""
    count, c = net.number(2, 3), net.width()
    y = channels_last(net, x)
    scores = linear(net, y, count)
    gates = net.op("Softmax", scores.shape, scores, axis=scores.rank - 1)
    total: Tensor | None = None
    for index, gate in enumerate(split(net, gates, gates.rank - 1, [1] * count)):
        made = activation(net, linear(net, y, c)) if index or net.flag() else linear(net, y, c)
        part = binary(net, "Mul", made, gate)
        total = part if total is None else binary(net, "Add", total, part)
    assert total is not None
    return channels_at(net, total.at(total.rank - 1), x.axis)


def second_input(net: Network, x: Tensor) -> Tensor:
    """Another input of the same extent joins."""
    shape = x.sized(x.axis, 3)
    if not all(told(n) for n in shape):
        return x
    other = mix(net, net.input(*shape, axis=x.axis), x.channels)
    return combine(net, x, other) if net.flag() else concat(net, [x, other], x.axis)


def side_output(net: Network, x: Tensor) -> Tensor:
    """What stands in the middle is asked for, as it is or behind a layer."""
    net.output(x if net.rarely() else mix(net, x, 2))
    return x


def conv_over_features(net: Network, x: Tensor) -> Tensor:
    """A convolution that takes places for channels: the channels' order counts."""
    if x.rank != 3 or any(isinstance(n, Size) for n in x.shape[1:]):
        return x
    y = x.at(1)
    return conv(net, y, y.channels, size=3).at(x.axis)


BLOCKS = (
    layer,
    layer,
    residual,
    residual,
    sum_of_layers,
    branches,
    dense,
    cut,
    cut,
    chunks,
    shift_and_scale,
    shuffle,
    interleaved,
    mirrored,
    clipped,
    padded,
    repeated,
    looked_up,
    twice,
    experts,
    second_input,
    side_output,
    conv_over_features,
)
