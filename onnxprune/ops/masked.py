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
from onnxprune.ops.operator import CONTRIB
from onnxprune.ops.reduction import reduced_axes
from onnxprune.ops.site import Site


class Builder(Protocol):
    """Where a masked form writes its nodes."""

    def typed(self, elem_type: int) -> Builder:
        """Set the element type of what the masked operand holds."""
        ...

    def node(self, op_type: str, *inputs: str, **attributes: object) -> str:
        """Add a node with one output and return the output's name."""
        ...

    def nodes(self, count: int, op_type: str, *inputs: str, **attributes: object) -> list[str]:
        """Add a node with `count` outputs and return their names."""
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

    def chosen(self, mask: BoolArray, x: str, other: str) -> str:
        """Add `x` with `other` where `mask` is false, both of the masked operand's type."""
        ...

    def like(self, value: float) -> str:
        """Add a scalar of the masked operand's type, in which infinities become finite."""
        ...


_FLOAT = 1
"""ONNX's number of float32."""

MaskedForm = Callable[[Builder, Site, list[str], BoolArray], tuple[str, ...]]
"""(builder, site, input names, mask broadcastable to input 0) -> names of the outputs.

The mask is that of another input where `HIDDEN_ON` says so. Last outputs may be left out; nobody
must read those."""


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
    """What stays of `x` less its mean, 0 for the rest; the mean; the variance."""
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


def _over_root(
    builder: Builder, site: Site, x: str, mask: BoolArray, axes: Sequence[int], small: float = 1e-5
) -> tuple[str, str]:
    """X / d over the elements of `x` that stay; d = sqrt(mean of squares + eps)."""
    mean = _shown_mean(builder, builder.node("Mul", x, x), mask, axes)
    epsilon = builder.like(site.attribute("epsilon", small))
    root = builder.node("Sqrt", builder.node("Add", mean, epsilon))
    return builder.node("Div", x, root), root


def _rms(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str, str]:
    rank = len(site.x().shape)
    axes = list(range(site.axis(site.attribute("axis", -1), rank), rank))
    y, root = _over_root(builder, site, x[0], mask, axes)
    root = builder.node("Cast", root, to=site.attribute("stash_type", 1))
    return _affine(builder, y, x[1:]), builder.node("Reciprocal", root)


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


def _sum(builder: Builder, names: Sequence[str], mask: BoolArray) -> str:
    """The sum of what is there, 0 where the mask hides it."""
    total, *others = (name for name in names if name)
    for name in others:
        total = builder.node("Add", total, name)
    return builder.where(mask, total, 0.0)


def _skip_layer(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str, ...]:
    total = _sum(builder, [*x[:2], *x[4:5]], mask)
    axes = [len(site.x().shape) - 1]
    y, mean, deviation = _standardised(builder, site, total, mask, axes, 1e-12)
    return _affine(builder, y, x[2:4]), mean, builder.node("Reciprocal", deviation), total


def _skip_rms(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str, ...]:
    total = _sum(builder, [*x[:2], *x[3:4]], mask)
    y, root = _over_root(builder, site, total, mask, [len(site.x().shape) - 1], 1e-12)
    return _affine(builder, y, x[2:3]), root, builder.node("Reciprocal", root), total


def _embedding(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str, ...]:
    """What the operator adds up it tells itself; the mask is that of a table."""
    name = "EmbedLayerNormalization"
    _, lengths, total = builder.nodes(3, name, *x, domain=CONTRIB)
    total = builder.where(mask[None], total, 0.0)
    y, *_ = _standardised(builder, site, total, mask[None], [2], 1e-12)
    return _affine(builder, y, x[5:7]), lengths, total


def _quantized_embedding(
    builder: Builder, site: Site, x: list[str], mask: BoolArray
) -> tuple[str, ...]:
    """The same, of tables of integers with a scale and a zero point each."""
    x = [*x, *[""] * (18 - len(x))]
    for place in range(2, 7):
        if x[place]:
            table = x[place], x[place + 6], x[place + 11]
            x[place] = builder.node("DequantizeLinear", *table)
    y, lengths, _ = _embedding(builder.typed(_FLOAT), site, x[:8], mask)
    return y, lengths


def _in_parts(
    builder: Builder, x: str, mask: BoolArray, shape: Sequence[int], width: int
) -> tuple[str, BoolArray]:
    """`x` and its mask with the last axis in parts of `width`."""
    layout = [*[0] * (len(shape) - 1), shape[-1] // width, width]
    whole = np.broadcast_to(mask, (*mask.shape[:-1], shape[-1]))
    parted = builder.node("Reshape", x, builder.constant(np.array(layout)))
    return parted, whole.reshape(*mask.shape[:-1], *layout[-2:])


def _whole(builder: Builder, y: str, x: str) -> str:
    return builder.node("Reshape", y, builder.node("Shape", x))


def _group_last(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str, ...]:
    """With channels moved to the end; what is added before, and the SiLU behind, if there is."""
    shape = site.x().shape
    rank, groups = len(shape), site.attribute("groups", 1)
    last = bool(site.attribute("channels_last", 1))
    order = [0, *range(2, rank), 1]

    def moved(name: str, order: Sequence[int] = order) -> str:
        return name if last else builder.node("Transpose", name, perm=list(order))

    mask = mask if last else mask.transpose(order)
    sizes = shape if last else tuple(shape[axis] for axis in order)
    parts = [moved(x[0])]
    if site.op_type == "SkipGroupNorm":
        row = builder.constant(np.array([0, *[1] * (rank - 2), -1]))
        flat = len(site.x(3).shape) == 2
        parts += [builder.node("Reshape", x[3], row) if flat else moved(x[3]), *x[4:5]]
    total = _sum(builder, parts, mask)
    y, inner = _in_parts(builder, total, mask, sizes, sizes[-1] // groups)
    y, *_ = _standardised(builder, site, y, inner, [*range(1, rank - 1), rank])
    y = _affine(builder, _whole(builder, y, total), x[1:3])
    if site.attribute("activation", 0):
        y = builder.node("Mul", y, builder.node("Sigmoid", y))
    back = [0, rank - 1, *range(1, rank - 1)]
    return moved(y, back), moved(total, back)


def _branch_rms(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    """Branches lie on an axis of their own, or on one with their channels."""
    shape, count = site.x().shape, site.attribute("num_branches", 0)
    y, inner = _in_parts(builder, x[0], mask, shape, shape[-1] // count) if count else (x[0], mask)
    rank = len(shape) + bool(count)
    y, _ = _over_root(builder, site, y, inner, [rank - 1])
    if len(x) > 1 and x[1]:
        sizes = shape[-1] // count if count else shape[-1]
        listed = len(site.x(1).shape) == 1 and site.x(1).shape[0] != sizes
        layout = builder.constant(np.array([-1, sizes]))
        y = builder.node("Mul", y, builder.node("Reshape", x[1], layout) if listed else x[1])
    return (_whole(builder, y, x[0]),)


def _gated_rms(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    shape, width = site.x().shape, site.x(1).shape[0]
    y, inner = _in_parts(builder, x[0], mask, shape, width)
    y, _ = _over_root(builder, site, y, inner, [len(shape)])
    y = _whole(builder, builder.node("Mul", y, x[1]), x[0])
    gate = builder.node("Sigmoid", x[2])
    if site.attribute("activation", "silu") != "sigmoid":
        gate = builder.node("Mul", x[2], gate)
    return (builder.node("Mul", y, gate),)


def _bias_softmax(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    axis = site.axis(site.attribute("axis", 1), len(site.x().shape))
    shown = builder.where(mask, builder.node("Add", x[0], x[1]), -np.inf)
    rows = builder.node("Flatten", shown, axis=axis)
    return (_whole(builder, builder.node("Softmax", rows, axis=1), x[0]),)


def _distance(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    """What is 0 on both sides is no distance."""
    columns = np.asarray(mask.any(axis=0, keepdims=True))
    shown = [builder.where(columns, name, 0.0) for name in x]
    return (builder.node(site.op_type, *shown, **site.attributes, domain=CONTRIB),)


def _experts(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str]:
    """The router never chooses what is hidden, unless there is nothing else; then it counts 0."""
    operands = [x[0], builder.where(mask, x[1], -np.inf), *x[2:]]
    if len(x) > 14 and x[14]:  # what the chosen experts count, beside what chooses them
        operands[14] = builder.where(mask, x[14], 0.0)
    return (builder.node(site.op_type, *operands, **site.attributes, domain=CONTRIB),)


def _quantized_lstm(builder: Builder, site: Site, x: list[str], mask: BoolArray) -> tuple[str, ...]:
    """Nothing moves the units that are gone: no weight, no bias, no state."""
    units = np.asarray(mask.any(axis=2))
    gates = np.tile(units, 4)[:, None]
    x = [*x, *[""] * (12 - len(x))]
    for place, zero, shown in ((1, 9, gates), (2, 11, gates & units[:, :, None])):
        spread = [-1, 1, 1] if len(site.x(zero).shape) == 1 else [0, 1, -1]
        neutral = builder.node("Reshape", x[zero], builder.constant(np.array(spread[:3])))
        x[place] = builder.chosen(shown, x[place], neutral)
    nothing = builder.constant(np.zeros((), np.float32))
    for place, shown in ((3, np.tile(units, 8)), (5, units[:, None]), (6, units[:, None])):
        if x[place]:
            x[place] = builder.node("Where", builder.constant(shown), x[place], nothing)
    made = builder.nodes(3, site.op_type, *x, domain=CONTRIB, **site.attributes)
    return tuple(made)


FORMS: dict[str, MaskedForm] = {
    "BatchNormalization": _batch,
    "BiasSoftmax": _bias_softmax,
    "BranchwiseRMSNorm": _branch_rms,
    "CDist": _distance,
    "CumProd": _replaced(1.0),
    "DynamicQuantizeLSTM": _quantized_lstm,
    "EmbedLayerNormalization": _embedding,
    "GatedRMSNorm": _gated_rms,
    "GroupNorm": _group_last,
    "GroupNormalization": _group,
    "Hardmax": _replaced(-np.inf),
    "InstanceNormalization": _instance,
    "LayerNormalization": _layer,
    "LogSoftmax": _replaced(-np.inf),
    "MeanVarianceNormalization": _mean_variance,
    "MoE": _experts,
    "QEmbedLayerNormalization": _quantized_embedding,
    "RMSNormalization": _rms,
    "ReduceLogSumExp": _replaced(-np.inf),
    "ReduceMax": _replaced(-np.inf),
    "ReduceMean": _mean,
    "ReduceMin": _replaced(np.inf),
    "ReduceProd": _replaced(1.0),
    "SkipGroupNorm": _group_last,
    "SkipLayerNormalization": _skip_layer,
    "SkipSimplifiedLayerNormalization": _skip_rms,
    "Softmax": _replaced(-np.inf),
}
HIDDEN_ON = {
    "DynamicQuantizeLSTM": 2,
    "EmbedLayerNormalization": 2,
    "MoE": 1,
    "QEmbedLayerNormalization": 2,
}
"""The input that a form takes the mask of, where it is not the first."""
