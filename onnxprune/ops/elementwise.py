"""Operators that work index by index, with broadcasting; activations, comparisons, casts."""

from __future__ import annotations

import numpy as np

from onnxprune.ops.operator import signature
from onnxprune.ops.site import Site

_UNARY = [
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "BitCast",
    "BitwiseNot",
    "Cast",
    "Ceil",
    "Celu",
    "Cos",
    "Cosh",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "IsInf",
    "IsNaN",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Not",
    "Reciprocal",
    "RegexFullMatch",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
]
_BINARY = [
    "And",
    "BitShift",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Mul",
    "Or",
    "PRelu",
    "Pow",
    "StringConcat",
    "Sub",
    "SwiGLU",
    "Xor",
]
_DIVIDING = ("Div", "Mod")
_BROADCASTS = 7
"""First opset in which operands are aligned from the right; before, an attribute told the axis."""
_VARIADIC = ("Max", "Mean", "Min")
_EXTREMES = ("Max", "Min")


ELEMENTWISE = frozenset((*_UNARY, *_BINARY, *_DIVIDING, *_VARIADIC, "Add", "Clip", "Sum", "Where"))
"""Operators that make each element of the elements at its place alone."""


def _variadic(site: Site) -> str:
    return ", ".join(f"x{i}[*a]" for i in range(len(site.inputs))) + " -> y[*a]"


def _dropout(site: Site) -> str:
    """In training, which elements are dropped depends on how many there are."""
    data = site.x(2).data if site.has(2) else np.array(False)
    axes = "*a" if data is not None and not data.any() else "#*a"
    return f"x[{axes}], ratio[]?, training[]? -> y[{axes}], mask[{axes}]?"


OPERATORS = (
    *(signature(name, "x[*a] -> y[*a]") for name in _UNARY),
    *(signature(name, "a[*a], b[*a] -> y[*a]", since=_BROADCASTS) for name in _BINARY),
    *(
        signature(name, "x[*a] -> y[*a]", domain="ai.onnx.ml")
        for name in ("Binarizer", "CategoryMapper", "LabelEncoder")
    ),
    *(signature(name, "a[*a], divisor[*a] -> y[*a]", since=_BROADCASTS) for name in _DIVIDING),
    *(signature(name, _variadic, selects=name in _EXTREMES) for name in _VARIADIC),
    signature("Add", "a[*a], b[*a] -> y[*a]", since=_BROADCASTS, role="sum"),
    signature("Sum", _variadic, role="sum"),
    signature("CastLike", "x[*a], like[~*l] -> y[*a]"),
    signature("Clip", "x[*a], low[*l]?, high[*h]? -> y[*a]", selects=True),
    signature("Dropout", _dropout, opaque={"a": "random numbers go by their place"}),
    signature("Where", "c[*a], x[*a], y[*a] -> z[*a]", selects=True),
)
