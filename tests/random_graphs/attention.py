"""Attention as people have it, over tokens N L C.

Queries, keys and values are N H L D here: heads on axis 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.random_graphs.builder import Network, Operand, Size, Tensor, told
from tests.random_graphs.elementwise import binary
from tests.random_graphs.layers import conv, linear
from tests.random_graphs.positions import biased, rotary
from tests.random_graphs.shaping import (
    concat,
    count_of,
    expand,
    parts,
    pick,
    rearrange,
    reduce_,
    slice_,
    split,
    squeeze,
    transpose,
    unsqueeze,
)


@dataclass(slots=True)
class Parts:
    """Queries, keys and values: N H L D, N H M D, N H M E."""

    q: Tensor
    k: Tensor
    v: Tensor


# Where they come from.


def fused(net: Network, x: Tensor) -> Parts:
    """One matrix makes all three, as ``(3 h d)`` or as ``(h 3 d)``."""
    h, d = net.choose(2, 3, 4), net.choose(2, 4, 6)
    y = linear(net, x, 3 * h * d)
    style = net.choose("outer", "inner", "last", "cut first")
    if style == "cut first":
        q, k, v = (heads_of(net, part, h) for part in parts(net, y, 2, [h * d] * 3))
        return Parts(q, k, v)
    if style == "last":  # as (h d 3)
        y = rearrange(net, y, "n l (h d k) -> n h l d k", h=h, k=3)
        axis = 4
    elif style == "inner":
        y = rearrange(net, y, "n l (h c) -> n h l c", h=h, c=3 * d)
        q, k, v = parts(net, y, 3, [d] * 3)
        return Parts(q, k, v)
    else:
        y = rearrange(net, y, "n l (k h d) -> k n h l d", k=3, h=h)
        axis = 0
    if net.flag():
        q, k, v = (squeeze(net, part, axis) for part in split(net, y, axis, [1, 1, 1]))
    else:
        q, k, v = (pick(net, y, axis, i) for i in range(3))
    return Parts(q, k, v)


def apart(net: Network, x: Tensor) -> Parts:
    """A matrix for each; values may be wider than queries and keys."""
    h, d = net.choose(2, 3, 4), net.choose(2, 4, 6)
    e = d if net.flag() else net.choose(3, 5)
    widths = (d, d, e)
    q, k, v = (heads_of(net, linear(net, x, h * width), h) for width in widths)
    return Parts(q, k, v)


def grouped(net: Network, x: Tensor) -> Parts:
    """Fewer heads of keys and values, each for several of the queries'."""
    groups, times, d = net.choose(1, 2, 3), net.choose(2, 3), net.choose(2, 4)
    q = heads_of(net, linear(net, x, groups * times * d), groups * times)
    k, v = (heads_of(net, linear(net, x, groups * d), groups) for _ in range(2))
    return Parts(q, *(repeated(net, t, times) for t in (k, v)))


def across(net: Network, x: Tensor) -> Parts:
    """Keys and values come from a second input."""
    if not told(x.shape[0]):
        return fused(net, x)
    h, d, m = net.choose(2, 3), net.choose(2, 4), net.extent(4, "memory")
    memory = net.input(x.shape[0], m, 3, axis=2)
    q = heads_of(net, linear(net, x, h * d), h)
    if net.flag():
        k, v = (heads_of(net, linear(net, memory, h * d), h) for _ in range(2))
        return Parts(q, k, v)
    both = rearrange(net, linear(net, memory, 2 * h * d), "n m (k h d) -> k n h m d", k=2, h=h)
    return Parts(q, pick(net, both, 0, 0), pick(net, both, 0, 1))


def pooled(net: Network, x: Tensor) -> Parts:
    """Keys and values of a shorter sequence (spatial reduction)."""
    h, d = net.choose(2, 3), net.choose(2, 4)
    columns = rearrange(net, x, "n l c -> n c l")
    if not isinstance(x.shape[1], Size) and x.shape[1] % 2 == 0:
        columns = conv(net, columns, x.shape[2], size=2, stride=2)
    short = rearrange(net, columns, "n c l -> n l c")
    q = heads_of(net, linear(net, x, h * d), h)
    k, v = (heads_of(net, linear(net, short, h * d), h) for _ in range(2))
    return Parts(q, k, v)


SOURCES = (fused, apart, grouped, across, pooled)


def heads_of(net: Network, x: Tensor, h: int) -> Tensor:
    return rearrange(net, x, "n l (h c) -> n h l c", h=h)


def repeated(net: Network, x: Tensor, times: int) -> Tensor:
    """Each head several times."""
    n, h, length, d = x.shape
    style = net.choose("expand", "tile", "expand")
    y = unsqueeze(net, x, 2)
    wide = (n, h, times, length, d)
    if style == "tile" or net.opset < 8:
        y = net.op("Tile", wide, y, net.ints(1, 1, times, 1, 1))
    elif any(isinstance(size, Size) for size in wide):
        y = net.op("Expand", wide, y, net.ints(1, 1, times, 1, 1))
    else:
        y = expand(net, y, wide, y)
    return rearrange(net, y, "n h k l c -> n (h k) l c")


def cached(net: Network, p: Parts) -> Parts:
    """Keys and values of before come in, all of them go out."""
    n, h, _, d = p.k.shape
    if not told(n):
        return p
    before = net.extent(3, "past")
    shapes = ((n, h, before, d), (n, h, before, p.v.shape[3]))
    joined = [
        concat(net, [net.input(*shape), new], 2)
        for shape, new in zip(shapes, (p.k, p.v), strict=True)
    ]
    if net.flag():
        for present in joined:
            net.output(present)
    return Parts(p.q, *joined)


# Scores and what they weigh.


def scores_of(net: Network, p: Parts) -> Tensor:
    n, h, length, d = p.q.shape
    shape = (n, h, length, p.k.shape[2])
    q, k = p.q, p.k
    style = net.choose("after", "before", "computed", "einsum", "merged")
    if style == "computed" and net.opset >= 9:
        y = net.op("MatMul", shape, q, transpose(net, k, 0, 1, 3, 2))
        size = net.op("Cast", (), count_of(net, q, 3), to=net.real_type)
        return net.op("Div", shape, y, net.op("Sqrt", (), size))
    factor = net.scalar(d**-0.5)
    if style == "before":
        q = net.op("Mul", q.shape, q, factor)
    if style == "einsum" and net.has("Einsum"):
        y = net.op("Einsum", shape, q, k, equation="nhld,nhmd->nhlm")
    elif style == "merged":
        q, k = (rearrange(net, t, "n h l c -> (n h) l c") for t in (q, k))
        y = net.op("MatMul", (q.shape[0], length, k.shape[1]), q, transpose(net, k, 0, 2, 1))
        y = rearrange(net, y, "(n h) l m -> n h l m", h=h)
    else:
        y = net.op("MatMul", shape, q, transpose(net, k, 0, 1, 3, 2))
    y = y.at(1)
    return y if style == "before" else net.op("Mul", shape, y, factor)


def talking(net: Network, scores: Tensor) -> Tensor:
    """Heads are mixed with each other, perhaps into another number of them."""
    n, h, length, m = scores.shape
    style = net.choose("conv", "einsum", "matmul")
    if style == "conv":
        return conv(net, scores.at(1), h)
    if style == "einsum" and net.has("Einsum"):
        shape = (n, h, length, m)
        return net.op("Einsum", shape, scores, net.weight(h, h), equation="nhlm,hk->nklm")
    moved = rearrange(net, scores, "n c l m -> n l m c")
    return rearrange(net, linear(net, moved, h), "n l m c -> n c l m")


def weighed(net: Network, p: Parts) -> Tensor:
    """``softmax(q kᵀ) v``, N H L E."""
    scores = scores_of(net, p)
    talks = net.rarely()
    scores = biased(net, scores, infinite=not talks) if net.flag() else scores
    scores = talking(net, scores) if talks else scores
    weights = net.op("Softmax", scores.shape, scores, axis=3)
    weights = talking(net, weights) if net.rarely() else weights
    return mixed(net, weights, p.v)


def mixed(net: Network, weights: Tensor, v: Tensor) -> Tensor:
    shape = (*weights.shape[:3], v.shape[3])
    if net.has("Einsum") and net.rarely():
        return net.op("Einsum", shape, weights, v, equation="nhlm,nhmd->nhld")
    return net.op("MatMul", shape, weights, v)


def linear_attention(net: Network, p: Parts) -> Tensor:
    """Keys times values first; no softmax over pairs of places."""
    q, k = (net.op("Add", t.shape, net.op("Elu", t.shape, t), net.scalar(1.0)) for t in (p.q, p.k))
    n, h, length, d = q.shape
    keyed = transpose(net, k, 0, 1, 3, 2)
    state = net.op("MatMul", (n, h, d, p.v.shape[3]), keyed, p.v)
    y = net.op("MatMul", (n, h, length, p.v.shape[3]), q, state)
    if net.flag():
        return y
    total = reduce_(net, "ReduceSum", k, [2])
    norm = reduce_(net, "ReduceSum", binary(net, "Mul", q, total), [3])
    return binary(net, "Div", y, net.op("Add", norm.shape, norm, net.scalar(0.1)))


def cross_covariance(net: Network, p: Parts) -> Tensor:
    """Features attend to features (XCiT)."""
    if p.q.shape[2] != p.k.shape[2]:
        return weighed(net, p)
    columns = [transpose(net, t, 0, 1, 3, 2) for t in (p.q, p.k, p.v)]
    if net.flag():
        norms = (reduce_(net, "ReduceL2", t, [3]) for t in columns[:2])
        shifted = (net.op("Add", t.shape, t, net.scalar(1e-2)) for t in norms)
        columns[:2] = [
            binary(net, "Div", t, norm) for t, norm in zip(columns[:2], shifted, strict=True)
        ]
    q, k, v = columns
    n, h, d, _ = q.shape
    scores = net.op("MatMul", (n, h, d, d), q, transpose(net, k, 0, 1, 3, 2))
    weights = net.op("Softmax", scores.shape, scores, axis=3)
    if v.shape[2] != d:
        return weighed(net, p)
    y = net.op("MatMul", (n, h, d, v.shape[3]), weights, v)
    return transpose(net, y, 0, 1, 3, 2)


# All of it.


def attention(net: Network, x: Tensor) -> Tensor:
    source = net.choose(*SOURCES)
    p: Parts = source(net, x)
    if net.rarely():
        p = Parts(rotary(net, p.q), rotary(net, p.k), p.v)
    if net.rarely():
        p = cached(net, p)
    way = net.choose(weighed, weighed, weighed, linear_attention, cross_covariance)
    y = way(net, p)
    return joined_heads(net, y, x.shape[-1])


def joined_heads(net: Network, y: Tensor, out: int) -> Tensor:
    """Heads end to end and a layer, or that layer as one Einsum."""
    n, h, length, d = y.shape
    if net.has("Einsum") and net.rarely():
        weights: Operand = net.weight(h, d, out, fan=h * d)
        shape = (n, length, out)
        return net.op("Einsum", shape, y, weights, equation="nhld,hdo->nlo").at(2)
    flat = rearrange(net, y, "n h l c -> n l (h c)")
    return linear(net, flat, out).at(2)


def windowed(net: Network, x: Tensor) -> Tensor:
    """Attention inside of windows, after rolling the sequence."""
    length = x.shape[1]
    if isinstance(length, Size) or length % 2 or (isinstance(x.shape[0], Size) and not net.flag()):
        return attention(net, x)
    y = rolled(net, x, 1) if net.flag() else x
    parts_ = net.choose("(n w) p c", "(n p) w c")
    windows = rearrange(net, y, f"n (w p) c -> {parts_}", w=2).at(2)
    z = _inside(net, windows)
    if parts_ == "(n w) p c":
        z = rearrange(net, z, "(n w) p c -> n (w p) c", w=2)
    else:
        z = rearrange(net, z, "(n p) w c -> n (w p) c", p=length // 2)
    return rolled(net, z, length - 1) if y is not x else z


def _inside(net: Network, x: Tensor) -> Tensor:
    p: Parts = net.choose(fused, apart, grouped)(net, x)
    return joined_heads(net, weighed(net, p), x.shape[-1])


def rolled(net: Network, x: Tensor, by: int) -> Tensor:
    length = x.shape[1]
    tail, head = slice_(net, x, 1, by, length), slice_(net, x, 1, 0, by)
    return concat(net, [tail, head], 1)
