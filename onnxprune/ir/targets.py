"""Target shapes: which sizes of a computed one are static, under two bindings of the inputs.

Each rule takes the shapes of the input and the result under both bindings, and gives one size for
each axis of the result, `COMPUTED` where it is left to the run.
"""

from __future__ import annotations

from onnxprune.ir.shapes import Shape

INFERRED = -1
"""What Reshape finds out for itself."""

COMPUTED = -2
"""What has to be read from the computed target."""


def reshape_target(x: Shape, x2: Shape, y: Shape, y2: Shape) -> list[int]:
    """Static sizes as they are, 0 where a dynamic one copies the input's; one more is inferred.

    Of several that are left that is one that merges axes, as (batch heads), for it follows what is
    pruned; sizes that the input has somewhere else do not change.
    """
    target: list[int] = []
    for axis, (size, size2) in enumerate(zip(y, y2, strict=True)):
        copies = axis < len(x) and (x[axis], x2[axis]) == (size, size2)
        target.append(size if size == size2 else 0 if copies else COMPUTED)
    axes = set(zip(x, x2, strict=True))
    left = [axis for axis, size in enumerate(target) if size == COMPUTED]
    merged = [axis for axis in left if (y[axis], y2[axis]) not in axes]
    for axis in (merged if len(left) > 1 else left)[:1]:
        target[axis] = INFERRED
    return target


def expand_target(x: Shape, x2: Shape, y: Shape, y2: Shape) -> list[int]:
    """Static sizes as they are, 1 where the input has the size already."""
    pad = len(y) - len(x)
    target: list[int] = []
    for axis, (size, size2) in enumerate(zip(y, y2, strict=True)):
        mine = (x[axis - pad], x2[axis - pad]) if axis >= pad else (1, 1)
        target.append(1 if mine == (size, size2) else size if size == size2 else COMPUTED)
    return target


def fill_target(x: Shape, x2: Shape, y: Shape, y2: Shape) -> list[int]:
    """Static sizes as they are."""
    return [size if size == size2 else COMPUTED for size, size2 in zip(y, y2, strict=True)]


PLACES = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1, "Resize": 3}
"""The input that holds the target shape, by operator."""
RULES = {
    "ConstantOfShape": fill_target,
    "Expand": expand_target,
    "Reshape": reshape_target,
    "Resize": fill_target,
}
"""The rule of each of these operators."""
