"""Operators that work index by index, each within its domain."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import TensorProto

from tests.random_graphs.builder import Network, Operand, Size, Tensor
from tests.random_graphs.shaping import reduce_

ANYWHERE = (
    "Relu",
    "Sigmoid",
    "Tanh",
    "Abs",
    "Asinh",
    "Atan",
    "Ceil",
    "Celu",
    "Cos",
    "Elu",
    "Erf",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Mish",
    "Neg",
    "Round",
    "Selu",
    "Shrink",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Swish",
    "ThresholdedRelu",
)
WITHIN_ONE = ("Acos", "Asin", "Atanh", "Cosh", "Exp", "Sinh", "Tan")
ABOVE_ONE = ("Acosh", "Log", "Reciprocal", "Sqrt")
SMOOTH = ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Softplus")
BINARY = ("Add", "Mul", "Sub", "Max", "Min", "Div", "Pow", "Mod", "PRelu", "Sum", "Mean")
COMPARISONS = ("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal")


def available(net: Network, *kinds: str) -> str:
    return str(net.choose(*(kind for kind in kinds if net.has(kind))))


# One operand.


def activation(net: Network, x: Tensor) -> Tensor:
    """What stands between layers most of the time."""
    kind = net.choose(*SMOOTH, "SiLU")
    if kind == "SiLU":
        return net.op("Mul", x.shape, x, net.op("Sigmoid", x.shape, x))
    return net.op(kind, x.shape, x)


def unary(net: Network, x: Tensor) -> Tensor:
    kind = available(net, *ANYWHERE, *WITHIN_ONE, *ABOVE_ONE)
    if kind == "Celu" and net.half:
        kind = "Elu"
    if kind in WITHIN_ONE:
        x = net.op("Mul", x.shape, net.op("Tanh", x.shape, x), net.scalar(0.9))
    if kind in ABOVE_ONE:
        x = net.op("Add", x.shape, net.op("Abs", x.shape, x), net.scalar(1.1))
    options = {"Celu": {"alpha": 0.7}, "LeakyRelu": {"alpha": 0.2}, "Shrink": {"lambd": 0.3}}
    given = options.get(kind, {}) if net.flag() else {}
    return net.op(kind, x.shape, x, **given)


def clip(net: Network, x: Tensor) -> Tensor:
    if net.opset < 11:
        return net.op("Clip", x.shape, x, min=-0.5, max=6.0)
    low, high = (net.scalar(v) if net.flag() else "" for v in (-0.5, 6.0))
    return net.op("Clip", x.shape, x, *[low, high][: 2 if high else 1 if low else 0])


def dropout(net: Network, x: Tensor) -> Tensor:
    asked = [x.shape, x.shape] if net.rarely() else [x.shape]
    if net.opset < 12:
        return net.ops("Dropout", asked, x, ratio=0.3)[0]
    given = [net.scalar(0.3)] if net.flag() else []
    given += [net.constant(np.array(False))] if given and net.flag() else []
    y, *masks = net.ops("Dropout", asked, x, *given)
    return chosen(net, masks[0], y, x) if masks else y


def cast(net: Network, x: Tensor) -> Tensor:
    """To another type and back."""
    there = net.choose(TensorProto.DOUBLE, TensorProto.FLOAT16)
    y = net.op("Cast", x.shape, x, to=there)
    if net.has("CastLike"):
        return net.op("CastLike", x.shape, y, x)
    return net.op("Cast", x.shape, y, to=net.real_type)


def cast_like(net: Network, x: Tensor) -> Tensor:
    if not net.has("CastLike"):
        return cast(net, x)
    like = net.scalar(1.0) if net.flag() else net.vector(x.channels, 2)
    return net.op("CastLike", x.shape, x, like)


def without_nan(net: Network, x: Tensor) -> Tensor:
    """As exports of `nan_to_num` write it."""
    kind = available(net, "IsNaN", "IsInf", "Not")
    if kind == "Not":
        return net.op("Identity", x.shape, x)
    wide = net.op("Cast", x.shape, x, to=TensorProto.FLOAT)
    strange = net.op(kind, x.shape, wide)
    return chosen(net, strange, net.scalar(0.0), x)


# Two operands.


def binary(net: Network, kind: str, x: Tensor, y: Tensor) -> Tensor:
    """An operator over two tensors, in either order where that makes no difference."""
    shape = broadcast(x, y)
    wide = x if x.rank >= y.rank else y
    pair = (x, y) if kind in ("Sub", "Div", "Pow", "Mod", "PRelu") or net.flag() else (y, x)
    return net.op(kind, shape, *pair).at(wide.axis)


def broadcast(*operands: Tensor) -> tuple[int, ...]:
    rank = max(x.rank for x in operands)
    shape: list[int] = []
    for place in range(-rank, 0):
        sizes = [x.shape[place] for x in operands if x.rank >= -place]
        shape.append(max(sizes, key=lambda size: (int(size), isinstance(size, Size))))
    return tuple(shape)


def chosen(net: Network, where: Tensor, x: Operand, y: Operand) -> Tensor:
    """``x`` in some places, ``y`` in the others."""
    if net.has("Where"):
        return net.op("Where", where.shape, where, x, y).at(where.axis)
    mask = net.op("Cast", where.shape, where, to=net.real_type)
    rest = net.op("Sub", where.shape, net.scalar(1.0), mask)
    first, second = (net.op("Mul", where.shape, m, v) for m, v in ((mask, x), (rest, y)))
    return net.op("Add", where.shape, first, second)


def operand(net: Network, x: Tensor) -> Tensor:
    """Something that can stand beside `x`: a constant or an activation, broadcast or not."""
    style = net.choose("channel", "scalar", "inner", "reduced", "place", "same", "leading")
    if style == "channel":
        shape = x.per_channel(*[1] * (x.axis if net.flag() else 0))
        return Tensor(net.vector(*shape), shape, len(shape) - (x.rank - x.axis))
    if style == "inner":
        y = net.grow(x)
        return y if y.shape == x.shape else x
    if style == "reduced":
        axes = [i for i in range(1, x.rank) if net.flag() or x.rank == 2]
        return reduce_(net, "ReduceMean", x, axes) if axes else x
    if style == "place" and not any(isinstance(n, Size) for n in x.shape[1:]):
        shape = x.shape[1:]
        return Tensor(net.weight(*shape, fan=4), shape, x.axis - 1)
    if style == "leading":
        shape = tuple(1 if i != x.axis else n for i, n in enumerate(x.shape))
        return Tensor(net.vector(*shape), shape, x.axis)
    if style == "same":
        return net.op(net.choose("Sigmoid", "Tanh"), x.shape, x)
    return Tensor(net.scalar(0.5), (), 0)


def combine(net: Network, x: Tensor, y: Tensor) -> Tensor:
    """Two tensors by any operator that takes them, each within its domain."""
    kind = net.choose(*(kind for kind in BINARY if kind != "Mod" or net.has("Mod")))
    if kind in ("Div", "Mod"):
        y = net.op("Add", y.shape, net.op("Abs", y.shape, y), net.scalar(0.7))
        if kind == "Mod":
            return net.op("Mod", broadcast(x, y), x, y, fmod=1).at(x.axis)
    if kind == "Pow":
        x = net.op("Add", x.shape, net.op("Abs", x.shape, x), net.scalar(0.3))
        y = net.op("Sigmoid", y.shape, y)
    if kind == "PRelu" and y.rank > x.rank:
        kind = "Mul"
    if kind in ("Sum", "Mean", "Max", "Min"):
        if net.opset < 8:  # no broadcasting yet
            kind = "Add"
        elif net.flag():
            z = operand(net, x)
            return net.op(kind, broadcast(x, y, z), x, y, z).at(x.axis)
    return binary(net, kind, x, y)


def pointwise(net: Network, x: Tensor) -> Tensor:
    return combine(net, x, operand(net, x))


def compared(net: Network, x: Tensor, y: Tensor) -> Tensor:
    kind = net.choose(*(k for k in COMPARISONS if net.opset >= 12 or not k.endswith("OrEqual")))
    if kind == "Equal":  # of floating-point numbers only since opset 11
        x, y = (net.op("Cast", t.shape, t, to=TensorProto.INT32) for t in (x, y))
    elif net.opset < 9:
        x, y = (net.op("Cast", t.shape, t, to=TensorProto.FLOAT) for t in (x, y))
    return net.op(kind, broadcast(x, y), x, y).at(x.axis)


def gated_by_truth(net: Network, x: Tensor) -> Tensor:
    """Comparisons, and what logic makes of them, decide which elements pass."""
    truth = compared(net, x, operand(net, x))
    kind = net.choose("one", "Not", "And", "Or", "Xor")
    if kind == "Not":
        truth = net.op("Not", truth.shape, truth)
    elif kind != "one":
        other = compared(net, x, operand(net, x))
        truth = net.op(kind, broadcast(truth, other), truth, other).at(x.axis)
    if truth.shape != x.shape:
        return x
    rest = net.choose("zero", "other")
    return chosen(net, truth, x, net.scalar(0.0) if rest == "zero" else activation(net, x))


def bits(net: Network, x: Tensor) -> Tensor:
    """Whole numbers, bit by bit; what comes of it is added."""
    scaled = net.op("Mul", x.shape, net.op("Sigmoid", x.shape, x), net.scalar(7.0))
    whole = net.op("Cast", x.shape, scaled, to=TensorProto.INT32)
    kinds = [k for k in ("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot") if net.has(k)]
    kind = net.choose(*kinds, *(["BitShift"] if net.has("BitShift") else []), "Cast")
    shape = x.per_channel()
    numbers = np.arange(prod(shape)).reshape(shape)
    if kind == "BitwiseNot":
        whole = net.op(kind, x.shape, whole)
    elif kind == "BitShift":
        small = net.op("Cast", x.shape, whole, to=TensorProto.UINT8)
        by = net.constant((numbers % 3).astype(np.uint8))
        whole = net.op(kind, x.shape, small, by, direction="RIGHT")
    elif kind != "Cast":
        whole = net.op(kind, x.shape, whole, net.constant((numbers % 8).astype(np.int32)))
    back = net.op("Cast", x.shape, whole, to=net.real_type)
    return binary(net, "Add", x, back)
