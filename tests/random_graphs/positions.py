"""Positions in attention: rotations of queries and keys, biases and masks of scores."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from tests.random_graphs.builder import Network, Size, Tensor, told
from tests.random_graphs.elementwise import binary
from tests.random_graphs.shaping import (
    concat,
    count_of,
    parts,
    pick,
    rearrange,
    slice_,
    sliced_to,
    transpose,
    unsqueeze,
)

# Rotations.


def rotary(net: Network, x: Tensor) -> Tensor:
    """Pairs of elements of each head turn, by halves or neighbours; all of them or the first."""
    d = x.shape[3]
    if d % 4 == 0 and net.rarely():
        a, b = parts(net, x, 3, [d // 2, d // 2])
        return concat(net, [_turned(net, a), b], 3)
    return _turned(net, x) if d % 2 == 0 else x


def _turned(net: Network, x: Tensor) -> Tensor:
    d = x.shape[3]
    style = net.choose("halves", "neighbours", "pairs")
    if style == "halves" or net.opset < 10:
        a, b = parts(net, x, 3, [d // 2, d // 2])
        other = concat(net, [net.op("Neg", b.shape, b), a], 3)
    elif style == "neighbours":
        a, b = (slice_(net, x, 3, i, d, 2) for i in range(2))
        both = [unsqueeze(net, t, 4) for t in (net.op("Neg", b.shape, b), a)]
        other = rearrange(net, concat(net, both, 4), "n h l c k -> n h l (c k)")
    else:
        pairs = rearrange(net, x, "n h l (c k) -> n h l c k", k=2)
        a, b = (pick(net, pairs, 4, i) for i in range(2))
        both = [unsqueeze(net, t, 4) for t in (net.op("Neg", b.shape, b), a)]
        other = rearrange(net, concat(net, both, 4), "n h l c k -> n h l (c k)")
    cosine, sine = angles(net, x)
    return binary(net, "Add", binary(net, "Mul", x, cosine), binary(net, "Mul", other, sine))


def angles(net: Network, x: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines, ``L D``: a table, as much of a table as is needed, or computed."""
    length, d = x.shape[2:]
    if isinstance(length, Size) or net.rarely():
        if not told(length) or (net.flag() and net.opset >= 11):
            return _computed_angles(net, x, d)
        tables = (Tensor(net.vector(64, d), (64, d)) for _ in range(2))
        cosine, sine = (sliced_to(net, t, 0, x, 2) for t in tables)
        return cosine, sine
    shape = (length, d)
    return Tensor(net.vector(*shape), shape), Tensor(net.vector(*shape), shape)


def _computed_angles(net: Network, x: Tensor, d: int) -> tuple[Tensor, Tensor]:
    places = unsqueeze(net, positions(net, x, 2), 1)
    rates = net.constant((0.5 ** np.arange(d // 2)).astype(net.real))
    phases = net.op("Mul", (places.shape[0], d // 2), places, rates)
    both = concat(net, [phases, phases], 1)
    return net.op("Cos", both.shape, both), net.op("Sin", both.shape, both)


def positions(net: Network, x: Tensor, axis: int) -> Tensor:
    """0, 1, … for an axis, as numbers; where an opset cannot count, one number for all."""
    if net.opset < 11:
        return Tensor(net.vector(1), (1,), 0)
    end = count_of(net, x, axis)
    places = net.op("Range", (x.shape[axis],), net.index(0), end, net.index(1))
    return net.op("Cast", places.shape, places, to=net.real_type)


# Biases and masks.


def biased(net: Network, scores: Tensor, infinite: bool) -> Tensor:
    """Something added to the scores: a bias of each head, ALiBi, a mask."""
    _, h, length, m = scores.shape
    static = not isinstance(length, Size) and not isinstance(m, Size)
    style = net.choose("table", "relative", "slopes", "causal", "mask", "trilu")
    if style == "table" and static:
        shape = (h, length, m)
        return binary(net, "Add", scores, Tensor(net.weight(*shape, fan=4), shape, 0))
    if style == "relative" and static:
        count = length + m
        places = (np.arange(length)[:, None] - np.arange(m)[None] + m) % count
        table = net.weight(count, h, fan=4)
        looked_up = net.op("Gather", (length, m, h), table, net.constant(places), axis=0)
        bias = unsqueeze(net, transpose(net, looked_up, 2, 0, 1), 0)
        return binary(net, "Add", scores, bias)
    if style == "slopes" and net.opset >= 11:
        slopes = Tensor(net.vector(h, 1, 1), (h, 1, 1), 0)
        distances = positions(net, scores, 3)
        return binary(net, "Add", scores, binary(net, "Mul", slopes, distances))
    if style == "mask":
        return _masked(net, scores)
    if style == "trilu" and net.has("Trilu"):
        return _by_trilu(net, scores)
    return _causal(net, scores, infinite)


def _causal(net: Network, scores: Tensor, infinite: bool) -> Tensor:
    length, m = scores.shape[2:]
    if net.opset >= 11 and (isinstance(length, Size) or isinstance(m, Size) or net.flag()):
        rows = unsqueeze(net, positions(net, scores, 2), 1)
        later = net.op("Less", (length, m), rows, positions(net, scores, 3))
    elif isinstance(length, Size) or isinstance(m, Size):
        return scores
    else:
        later = Tensor(net.constant(~np.tri(length, m, dtype=np.bool_)), (length, m), 0)
    if not net.has("Where"):
        return scores
    low = -float("inf") if infinite else -1e4
    return net.op("Where", scores.shape, later, net.scalar(low), scores).at(1)


def _by_trilu(net: Network, scores: Tensor) -> Tensor:
    length, m = scores.shape[2:]
    shape = net.op("Shape", (4,), scores)
    last = slice_(net, shape, 0, 2, 4)
    filled = net.op("ConstantOfShape", (length, m), last, value=net.filling(-1e4))
    return binary(net, "Add", scores, net.op("Trilu", (length, m), filled, net.index(1), upper=1))


def _masked(net: Network, scores: Tensor) -> Tensor:
    """A second input tells which keys are there."""
    n, m = scores.shape[0], scores.shape[3]
    if not told(n) or not told(m):
        return scores
    kind = net.choose(TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT)
    mask = unsqueeze(net, net.input(n, m, kind=kind), 1, 2)
    number = net.op("Cast", mask.shape, mask, to=net.real_type)
    away = net.op("Sub", mask.shape, net.scalar(1.0), number)
    return binary(net, "Add", scores, net.op("Mul", away.shape, away, net.scalar(1e4)))
