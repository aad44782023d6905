"""LSTM, GRU and RNN over tokens, N L C."""

from __future__ import annotations

import numpy as np

from tests.random_graphs.builder import Network, Operand, Size, Tensor
from tests.random_graphs.elementwise import binary
from tests.random_graphs.layers import linear
from tests.random_graphs.shaping import rearrange, reduce_

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(net: Network, x: Tensor) -> Tensor:
    """One or two layers, in one direction or both, with a projection between them sometimes."""
    steps = rearrange(net, x, "n l c -> l n c")
    kind = net.choose(*GATES)
    for _ in range(net.number(1, 2)):
        steps = layer(net, kind, steps)
        if net.rarely():
            steps = linear(net, steps, net.width())
    return rearrange(net, steps, "l n c -> n l c")


def layer(net: Network, kind: str, x: Tensor) -> Tensor:
    """A recurrent operator over L N C, with its directions side by side."""
    length, n, c = x.shape
    way = net.choose("forward", "bidirectional", "reverse")
    d, h, gates = 1 + (way == "bidirectional"), net.width(), GATES[kind]
    given: list[Operand] = [
        net.weight(d, gates * h, c, fan=c),
        net.weight(d, gates * h, h, fan=h),
    ]
    optional: list[Operand] = [
        net.weight(d, 2 * gates * h, fan=4) if net.flag() else "",
        lengths(net, x) if net.rarely() else "",
        start(net, x, d, h) if net.rarely() else "",
    ]
    if kind == "LSTM":
        optional.append(start(net, x, d, h) if net.rarely() else "")
        optional.append(net.weight(d, 3 * h, fan=4) if net.rarely() else "")
    while optional and optional[-1] == "":
        optional.pop()
    options: dict[str, object] = {"hidden_size": h}
    options |= {"direction": way} if way != "forward" or net.flag() else {}
    options |= {"linear_before_reset": int(net.flag())} if kind == "GRU" else {}
    shapes = [(length, d, n, h), *[(d, n, h)] * (2 if kind == "LSTM" else 1)]
    y, *last = net.ops(kind, shapes, x, *given, *optional, **options)
    y = rearrange(net, y, "l d n c -> l n (d c)")
    if net.rarely():
        return binary(net, "Add", y, rearrange(net, last[-1], "d n c -> 1 n (d c)"))
    return y


def lengths(net: Network, x: Tensor) -> str:
    length, n, _ = x.shape
    if isinstance(n, Size) or isinstance(length, Size):
        return ""
    return net.constant((length - np.arange(n) % 2).astype(np.int32))


def start(net: Network, x: Tensor, d: int, h: int) -> Operand:
    """A first state: constant, or made from the mean of all tokens."""
    n = x.shape[1]
    if not isinstance(n, Size) and net.flag():
        return net.weight(d, n, h, fan=4)
    mean = reduce_(net, "ReduceMean", x, [0], keep=False).at(1)
    y = linear(net, mean, d * h)
    return rearrange(net, y, "n (d c) -> d n c", d=d)


BLOCKS = (recurrent, recurrent)
