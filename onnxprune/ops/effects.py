"""What operators do to the values of channels: who only moves them, who keeps their order.

For bounds: an operator that `RISES` maps bounds to bounds. For sameness: two channels of which one
is a positive multiple of the other stay so under what is `HOMOGENEOUS`; whatever works index by
index (`ELEMENTWISE`) makes equal things of equal things.
"""

from __future__ import annotations

from onnxprune.ops.elementwise import ELEMENTWISE

MOVES = frozenset(
    [
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    ]
)
"""Operators whose results are elements of their first inputs, at other places."""
RISES = frozenset(
    [
        "Atan",
        "Celu",
        "Clip",
        "Elu",
        "Erf",
        "Exp",
        "HardSigmoid",
        "LeakyRelu",
        "Relu",
        "Selu",
        "Sigmoid",
        "Sign",
        "Softplus",
        "Softsign",
        "Tanh",
        "ThresholdedRelu",
    ]
)
"""Operators that never fall where their first input rises, with the attributes that exporters
write."""
HOMOGENEOUS = frozenset(["LeakyRelu", "Relu"])
"""Operators that give a positive multiple of what they give, for that multiple of their input."""
POOLS = frozenset(
    ["AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMax", "ReduceMean"]
)
"""Operators that give something between the smallest and the largest of what a place reads, for
each channel by itself; they are homogeneous, too."""

__all__ = ["ELEMENTWISE", "HOMOGENEOUS", "MOVES", "POOLS", "RISES"]
