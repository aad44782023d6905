"""Target shapes: which sizes of a computed one are static, under two bindings of the inputs.

Each rule takes the shapes of the input and the result under both bindings, and gives one size for
each axis of the result; -1 stands for what is computed.
"""

from __future__ import annotations

from onnxprune.ir.shapes import Shape


def reshape_target(x: Shape, x2: Shape, y: Shape, y2: Shape) -> list[int]:
    """Static sizes as they are; 0 where a dynamic one copies the input's, else -1."""
    target: list[int] = []
    for axis, (size, size2) in enumerate(zip(y, y2, strict=True)):
        copies = axis < len(x) and (x[axis], x2[axis]) == (size, size2)
        target.append(size if size == size2 else 0 if copies else -1)
    return target


def expand_target(x: Shape, x2: Shape, y: Shape, y2: Shape) -> list[int]:
    """Static sizes as they are, 1 where the input has the size already, else -1."""
    pad = len(y) - len(x)
    target: list[int] = []
    for axis, (size, size2) in enumerate(zip(y, y2, strict=True)):
        mine = (x[axis - pad], x2[axis - pad]) if axis >= pad else (1, 1)
        target.append(1 if mine == (size, size2) else size if size == size2 else -1)
    return target


def fill_target(x: Shape, x2: Shape, y: Shape, y2: Shape) -> list[int]:
    """Static sizes as they are, else -1."""
    return [size if size == size2 else -1 for size, size2 in zip(y, y2, strict=True)]


PLACES = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1, "Resize": 3}
"""The input that holds the target shape, by operator."""
RULES = {
    "ConstantOfShape": fill_target,
    "Expand": expand_target,
    "Reshape": reshape_target,
    "Resize": fill_target,
}
"""The rule of each of these operators."""
