"""Masked forms of operators whose value depends on which indices there are.

The masked reference keeps all shapes and hides removed indices behind masks. Most operators are
content with a neutral 0 at hidden places; those here are not: a mean must count anew, a maximum
must not see the 0, a softmax must give hidden places nothing. Each form computes what the operator
computes on the indices that stay, for reduced inputs that are 0 at hidden places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from onnxprune.axes import BoolArray
from onnxprune.ops.normalization import MEAN_VARIANCE_EPSILON, standardised_axes
from onnxprune.ops.reduction import reduced_axes
from onnxprune.ops.site import Site


class Builder(Protocol):
    """Where a masked form writes its nodes."""

    def node(self, op_type: str, *inputs: str, **attributes: object) -> str:
        """Add a node with one output and return the output's name."""
        ...

    def reduce(self, op_type: str, x: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """Add a ReduceSum or ReduceMean over `axes`."""
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


MaskedForm = Callable[[Builder, Site, list[str], BoolArray], tuple[str, ...]]
"""(builder, site, input names, mask broadcastable to input 0) -> names of the outputs.

Last outputs may be left out; nobody must read those."""


def _shown_mean(
    builder: Builder, x: str, mask: BoolArray, axes: Sequence[int], keepdims: bool = True
) -> str:
    """The mean over `axes` of what stays; `x` is 0 where the mask hides it.

    Sizes of axes along which nothing is hidden are not used: they may be others in the next run.
    """
    masked = [axis for axis in axes if mask.shape[axis] > 1]
    whole = [axis for axis in axes if axis not in masked]
    lanes = np.count_nonzero(mask, axis=tuple(masked))
    total = builder.reduce("ReduceSum", x, masked) if masked else x
    mean = builder.node("Div", total, builder.like(float(lanes.max()))) if masked else x
    mean = builder.reduce("ReduceMean", mean, whole) if whole else mean
    return mean if keepdims else builder.reduce("ReduceSum", mean, axes, keepdims=False)


def _mean(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    keepdims = bool(site.attribute("keepdims", 1))
    return (_shown_mean(builder, x[0], mask, reduced_axes(site), keepdims),)


def _replaced(value: float) -> MaskedForm:
    """The operator itself, with hidden places set to `value`."""

    def form(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
        shown = builder.where(mask, x[0], value)
        return (builder.node(site.op_type, shown, *x[1:], **site.attributes),)

    return form


def _moments(
    builder: Builder, x: str, mask: BoolArray, axes: Sequence[int]
) -> tuple[str, str, str]:
    """x - mean over the elements of `x` that stay, 0 for the others; mean; variance."""
    mean = _shown_mean(builder, x, mask, axes)
    shown = builder.where(mask, builder.node("Sub", x, mean), 0.0)
    square = builder.node("Mul", shown, shown)
    return shown, mean, _shown_mean(builder, square, mask, axes)


def _deviation(builder: Builder, site: Site, variance: str, otherwise: float = 1e-5) -> str:
    """sqrt(var + eps)."""
    epsilon = builder.like(site.attribute("epsilon", otherwise))
    return builder.node("Sqrt", builder.node("Add", variance, epsilon))


def _standardised(
    builder: Builder,
    site: Site,
    x: str,
    mask: BoolArray,
    axes: Sequence[int],
    otherwise: float = 1e-5,
) -> tuple[str, str, str]:
    """(x - mean) / d over the elements of `x` that stay; mean; d = sqrt(var + eps)."""
    shown, mean, variance = _moments(builder, x, mask, axes)
    deviation = _deviation(builder, site, variance, otherwise)
    return builder.node("Div", shown, deviation), mean, deviation


def _affine(builder: Builder, y: str, parameters: list[str]) -> str:
    for op_type, parameter in zip(("Mul", "Add"), parameters, strict=False):
        if parameter:
            y = builder.node(op_type, y, parameter)
    return y


def _per_channel(builder: Builder, site: Site, names: list[str]) -> list[str]:
    shape = builder.constant(np.array([-1] + [1] * (len(site.x().shape) - 2), dtype=np.int64))
    return [builder.node("Reshape", name, shape) for name in names]


def _layer(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str, str, str]:
    rank = len(site.x().shape)
    axes = range(site.axis(site.attribute("axis", -1), rank), rank)
    y, *statistics = _standardised(builder, site, x[0], mask, axes)
    kind = site.attribute("stash_type", 1)
    mean, deviation = (builder.node("Cast", name, to=kind) for name in statistics)
    return _affine(builder, y, x[1:]), mean, builder.node("Reciprocal", deviation)


def _rms(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    rank = len(site.x().shape)
    axes = list(range(site.axis(site.attribute("axis", -1), rank), rank))
    mean = _shown_mean(builder, builder.node("Mul", x[0], x[0]), mask, axes)
    root = builder.node(
        "Sqrt", builder.node("Add", mean, builder.like(site.attribute("epsilon", 1e-5)))
    )
    return (_affine(builder, builder.node("Div", x[0], root), x[1:]),)


def _instance(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    axes = list(range(2, len(site.x().shape)))
    y, *_ = _standardised(builder, site, x[0], mask, axes)
    return (_affine(builder, y, _per_channel(builder, site, x[1:3])),)


def _mean_variance(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    axes = standardised_axes(site)
    return (_standardised(builder, site, x[0], mask, axes, MEAN_VARIANCE_EPSILON)[0],)


def _batch(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str, str, str]:
    """In training: the batch's own statistics; those given move towards them by a share."""
    axes = [axis for axis in range(len(site.x().shape)) if axis != 1]
    shown, *own = _moments(builder, x[0], mask, axes)
    y = builder.node("Div", shown, _deviation(builder, site, own[1]))
    momentum = site.attribute("momentum", 0.9)
    mean, variance = (
        builder.node(
            "Add",
            builder.node("Mul", given, builder.like(momentum)),
            builder.node("Mul", _as_vector(builder, found), builder.like(1 - momentum)),
        )
        for given, found in zip(x[3:], own, strict=True)
    )
    return _affine(builder, y, _per_channel(builder, site, x[1:3])), mean, variance


def _as_vector(builder: Builder, x: str) -> str:
    return builder.node("Reshape", x, builder.constant(np.array([-1], dtype=np.int64)))


def _group(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    """Statistics over ``(c *s)`` of each group, taken in the layout ``[n, g, c, s]``."""
    _, channels, *spatial = site.x().shape
    groups = site.attribute("num_groups", 1)
    layout = [groups, channels // groups, -1]
    places = spatial if max(mask.shape[2:]) > 1 else mask.shape[2:]
    whole = np.broadcast_to(mask, (mask.shape[0], channels, *places))
    y = builder.node("Reshape", x[0], builder.constant(np.array([0, *layout])))
    inner = whole.reshape(mask.shape[0], *layout)
    y, *_ = _standardised(builder, site, y, inner, range(2, 4))
    y = builder.node("Reshape", y, builder.node("Shape", x[0]))
    return (_affine(builder, y, _per_channel(builder, site, x[1:3])),)


FORMS: dict[str, MaskedForm] = {
    "BatchNormalization": _batch,
    "CumProd": _replaced(1.0),
    "GroupNormalization": _group,
    "Hardmax": _replaced(-np.inf),
    "InstanceNormalization": _instance,
    "LayerNormalization": _layer,
    "LogSoftmax": _replaced(-np.inf),
    "MeanVarianceNormalization": _mean_variance,
    "RMSNormalization": _rms,
    "ReduceLogSumExp": _replaced(-np.inf),
    "ReduceMax": _replaced(-np.inf),
    "ReduceMean": _mean,
    "ReduceMin": _replaced(np.inf),
    "ReduceProd": _replaced(1.0),
    "Softmax": _replaced(-np.inf),
}
