"""Masked forms of operators whose value depends on which indices there are.

The masked reference keeps all shapes and hides removed indices behind masks. Most operators are
content with a neutral 0 at hidden places; those here are not: a mean must count anew, a maximum
must not see the 0, a softmax must give hidden places nothing. Each form computes what the operator
computes on the indices that stay, for inputs that are 0 at hidden places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Protocol

import numpy as np
import numpy.typing as npt

from onnxprune.axes import BoolArray
from onnxprune.ops.reduction import reduced_axes
from onnxprune.ops.site import Site


class Builder(Protocol):
    """Where a masked form writes its nodes."""

    def node(self, op_type: str, *inputs: str, **attributes: object) -> str:
        """Add a node with one output and return the output's name."""
        ...

    def reduce_sum(self, x: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """Add a ReduceSum over `axes`."""
        ...

    def constant(self, array: npt.NDArray[np.generic]) -> str:
        """Add a constant and return its name."""
        ...

    def where(self, mask: BoolArray, x: str, value: float) -> str:
        """Add `x` with `value` where `mask` is false."""
        ...

    def like(self, value: float) -> str:
        """Add a scalar of the masked operand's type; infinities become its finite extremes."""
        ...


MaskedForm = Callable[[Builder, Site, list[str], BoolArray], str]
"""(builder, site, input names, mask broadcastable to input 0) -> name of output 0."""


def _count(mask: BoolArray, shape: Sequence[int], axes: Sequence[int]) -> float:
    """How many elements stay along `axes` of a lane that is not hidden as a whole."""
    lanes = np.count_nonzero(mask, axis=tuple(axes))
    repeats = prod(shape[axis] // mask.shape[axis] for axis in axes)
    return float(lanes.max() * repeats)


def _mean(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> str:
    axes = reduced_axes(site)
    total = builder.reduce_sum(x[0], axes, bool(site.attribute("keepdims", 1)))
    return builder.node("Div", total, builder.like(_count(mask, site.x().shape, axes)))


def _replaced(value: float) -> MaskedForm:
    """The operator itself, with hidden places set to `value`."""

    def form(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> str:
        shown = builder.where(mask, x[0], value)
        return builder.node(site.op_type, shown, *x[1:], **site.attributes)

    return form


def _standardised(
    builder: Builder, site: Site, x: str, mask: BoolArray, shape: Sequence[int], axes: Sequence[int]
) -> str:
    """(x - mean) / sqrt(var + epsilon) over the elements of `x`, of `shape`, that stay."""
    count = builder.like(_count(mask, shape, axes))
    mean = builder.node("Div", builder.reduce_sum(x, axes), count)
    centred = builder.node("Sub", x, mean)
    shown = builder.where(mask, centred, 0.0)
    square = builder.node("Mul", shown, shown)
    variance = builder.node("Div", builder.reduce_sum(square, axes), count)
    epsilon = builder.like(site.attribute("epsilon", 1e-5))
    deviation = builder.node("Sqrt", builder.node("Add", variance, epsilon))
    return builder.node("Div", shown, deviation)


def _affine(builder: Builder, y: str, parameters: list[str]) -> str:
    for op_type, parameter in zip(("Mul", "Add"), parameters, strict=False):
        if parameter:
            y = builder.node(op_type, y, parameter)
    return y


def _per_channel(builder: Builder, site: Site, names: list[str]) -> list[str]:
    shape = builder.constant(np.array([-1] + [1] * (len(site.x().shape) - 2), dtype=np.int64))
    return [builder.node("Reshape", name, shape) for name in names]


def _layer(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> str:
    shape = site.x().shape
    axes = range(site.axis(site.attribute("axis", -1), len(shape)), len(shape))
    return _affine(builder, _standardised(builder, site, x[0], mask, shape, axes), x[1:])


def _rms(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> str:
    rank = len(site.x().shape)
    axes = list(range(site.axis(site.attribute("axis", -1), rank), rank))
    square = builder.reduce_sum(builder.node("Mul", x[0], x[0]), axes)
    mean = builder.node("Div", square, builder.like(_count(mask, site.x().shape, axes)))
    root = builder.node(
        "Sqrt", builder.node("Add", mean, builder.like(site.attribute("epsilon", 1e-5)))
    )
    return _affine(builder, builder.node("Div", x[0], root), x[1:])


def _instance(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> str:
    axes = list(range(2, len(site.x().shape)))
    y = _standardised(builder, site, x[0], mask, site.x().shape, axes)
    return _affine(builder, y, _per_channel(builder, site, x[1:3]))


def _batch(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> str:
    axes = [axis for axis in range(len(site.x().shape)) if axis != 1]
    y = _standardised(builder, site, x[0], mask, site.x().shape, axes)
    return _affine(builder, y, _per_channel(builder, site, x[1:3]))


def _group(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> str:
    """Statistics over ``(c *s)`` of each group, taken in the layout ``[n, g, c, *s]``."""
    batch, channels, *spatial = site.x().shape
    groups = site.attribute("num_groups", 1)
    shape = [batch, groups, channels // groups, *spatial]
    whole = np.broadcast_to(mask, (mask.shape[0], channels, *mask.shape[2:]))
    inner = whole.reshape(mask.shape[0], *shape[1:3], *mask.shape[2:])
    y = builder.node("Reshape", x[0], builder.constant(np.array([0, *shape[1:]])))
    y = _standardised(builder, site, y, inner, shape, range(2, len(shape)))
    y = builder.node("Reshape", y, builder.constant(np.array([0, channels, *spatial])))
    return _affine(builder, y, _per_channel(builder, site, x[1:3]))


FORMS: dict[str, MaskedForm] = {
    "BatchNormalization": _batch,
    "GroupNormalization": _group,
    "InstanceNormalization": _instance,
    "LayerNormalization": _layer,
    "LogSoftmax": _replaced(-np.inf),
    "RMSNormalization": _rms,
    "ReduceLogSumExp": _replaced(-np.inf),
    "ReduceMax": _replaced(-np.inf),
    "ReduceMean": _mean,
    "ReduceMin": _replaced(np.inf),
    "ReduceProd": _replaced(1.0),
    "Softmax": _replaced(-np.inf),
}
