"""Operators as affine maps of what they read: what repair by least squares fits anew.

A `Linear` operator gives ``y = x W + b`` row by row, where a row of `x` is all that one output
place reads (a patch, for a convolution) and a row of `y` are the channels there. A `Scaling`
stretches and shifts each channel of what it would give otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Keeps, kept_size
from onnxprune.ops.patches import Windows
from onnxprune.ops.site import Site, Value

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Places = npt.NDArray[np.intp]
"""Numbers of output places, in row-major order of the batch and all axes but the channels."""

Rows = Callable[[Array, Shape, Shape, Places], Array]


@dataclass(frozen=True, slots=True)
class Linear:
    """An operator that multiplies by a constant weight.

    Attributes:
        weight: the input that holds the weight.
        bias: the input for the bias, if the operator has one; it may be absent at a node.
        axis: the axis of `y` that holds the channels.
        inner: the axis of `x` that holds what is summed over.
        rows: from `x` ``[n, ...]``, the shape of the weight, the shape of `y` and places to rows
            ``[g, r, k]``, for g groups of channels.
        matrix: from the weight to ``[g, k, m]``.
        restored: from such a matrix and the shape of the weight back to the weight.
        bias_scale: the factor that the operator puts before its bias.
        whole: whether each place of `y` reads all of the kernel, and nothing of a padding.
    """

    weight: int
    bias: int | None
    axis: int
    inner: int
    rows: Rows
    matrix: Callable[[Array], Array]
    restored: Callable[[Array, Shape], Array]
    bias_scale: float = 1.0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Scaling:
    """An operator that scales and shifts channels.

    Attributes:
        scale: the input that holds the scale, if there is one.
        bias: the input that holds the bias, if there is one.
        axis: the axis of `y` that holds the channels.
        statistics: the inputs that hold the running mean and variance, where it has them.
        epsilon: what is added to the variance.
    """

    scale: int | None
    bias: int | None
    axis: int
    statistics: tuple[int, int] | None = None
    epsilon: float = 0.0


def linear_form(site: Site, keeps: Keeps) -> Linear | None:
    """An operator after a removal as a linear map with a constant weight; None if it is none.

    Args:
        site: the operator before the removal; operands that are constant are marked so.
        keeps: what stays.
    """
    form = _LINEAR.get(site.op_type)
    if form is None or site.x(0).constant or not _constant(site, 1):
        return None
    return form(site, keeps) if _constant(site, 2) or not site.has(2) else None


def scaling_form(site: Site) -> Scaling | None:
    """An operator as one that scales and shifts channels by constants; None if it is none."""
    rank = len(site.y().shape)
    if site.op_type in ("BatchNormalization", "InstanceNormalization", "GroupNormalization"):
        if site.attribute("training_mode", 0) or not _constant(site, 1, 2):
            return None
        if site.op_type != "BatchNormalization" or not _constant(site, 3, 4):
            return Scaling(1, 2, 1)
        return Scaling(1, 2, 1, (3, 4), site.attribute("epsilon", 1e-5))
    if site.op_type in ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"):
        last = site.axis(site.attribute("axis", -1), rank) == rank - 1
        flat = last and len(site.x(1).shape) == 1 and _constant(site, 1)
        bias = 2 if site.has(2) and _constant(site, 2) else None
        return Scaling(1, bias, rank - 1) if flat else None
    if site.op_type in _FUSED_SCALINGS:
        scale, bias = _FUSED_SCALINGS[site.op_type]
        shifts = bias is not None and site.has(bias) and _constant(site, bias)
        return (
            Scaling(scale, bias if shifts else None, rank - 1) if _constant(site, scale) else None
        )
    if site.op_type == "Add":
        return _shift(site)
    return None


_FUSED_SCALINGS = {
    "EmbedLayerNormalization": (5, 6),
    "SkipLayerNormalization": (2, 3),
    "SkipSimplifiedLayerNormalization": (2, None),
}
"""Normalisations over the last axis: the inputs that hold scale and bias."""


def by_tap(channels: Array, matrix: Array) -> Array:
    """What channels hold, as the rows that a layer reads hold it: each for all taps of the kernel.

    Args:
        channels: one element for each index of the axis that is summed over, shape ``[c]``.
        matrix: the layer's weight, ``[g, k, m]``; see `Linear`.

    Returns:
        ``[g, k]``.
    """
    groups, reads, _ = matrix.shape
    return np.repeat(channels.reshape(groups, -1), reads * groups // channels.size, axis=1)


def _constant(site: Site, *places: int) -> bool:
    return all(site.has(place) and site.x(place).constant for place in places)


def _shift(site: Site) -> Scaling | None:
    """An Add of a constant that has one axis of more than one index."""
    constant = [place for place in (0, 1) if site.x(place).constant]
    if len(constant) != 1:
        return None
    shape, y = site.x(constant[0]).shape, site.y().shape
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    if len(wide) != 1 or len(shape) > len(y):
        return None
    axis = len(y) - len(shape) + wide[0]
    return Scaling(None, constant[0], axis) if y[axis] == shape[wide[0]] else None


def _matmul(site: Site, keeps: Keeps) -> Linear | None:
    if len(site.x(1).shape) != 2 or len(site.x(0).shape) < 2:
        return None
    last = len(site.x(0).shape) - 1
    return Linear(1, None, len(site.y().shape) - 1, last, _last_axis, _alone, _as_matrix)


def _gemm(site: Site, keeps: Keeps) -> Linear | None:
    if site.has(2):
        *ones, channels = site.x(2).shape or (1,)
        if prod(ones) != 1 or channels != site.y().shape[1]:
            return None
    turned, beta = site.attribute("transA", 0), site.attribute("beta", 1.0)
    if not site.attribute("alpha", 1.0) or not beta:
        return None

    def rows(x: Array, weight: Shape, y: Shape, places: Places) -> Array:
        return _last_axis(x.T if turned else x, weight, y, places)

    return Linear(1, 2, 1, 0 if turned else 1, rows, *_scaled(site), beta)


def _fused_matmul(site: Site, keeps: Keeps) -> Linear | None:
    """A product whose weight is turned or scaled; one that turns its input is left alone."""
    form = _matmul(site, keeps)
    turned = any(site.attribute(name, 0) for name in ("transA", "transBatchA", "transBatchB"))
    if form is None or turned or not site.attribute("alpha", 1.0):
        return None
    matrix, restored = _scaled(site)
    return replace(form, matrix=matrix, restored=restored)


def _scaled(site: Site) -> tuple[Callable[[Array], Array], Callable[[Array, Shape], Array]]:
    """From a weight that the operator turns and scales to a matrix, and back."""
    flipped, alpha = site.attribute("transB", 0), site.attribute("alpha", 1.0)

    def matrix(weight: Array) -> Array:
        return np.asarray((weight.T if flipped else weight)[None] * alpha)

    def restored(matrix: Array, shape: Shape) -> Array:
        found: Array = np.asarray(matrix[0].T if flipped else matrix[0])
        found = found / alpha
        return found

    return matrix, restored


def _last_axis(x: Array, weight: Shape, y: Shape, places: Places) -> Array:
    return x.reshape(-1, x.shape[-1])[places][None]


def _alone(weight: Array) -> Array:
    return weight[None]


def _as_matrix(matrix: Array, shape: Shape) -> Array:
    return np.reshape(matrix[0], shape)


def _conv(site: Site, keeps: Keeps) -> Linear:
    groups = _groups(site.x(), site.x(1), keeps)
    windows = Windows.of(site)
    rows = _patched(windows.forward, groups)

    def matrix(weight: Array) -> Array:
        return weight.reshape(groups, weight.shape[0] // groups, -1).swapaxes(1, 2)

    def restored(matrix: Array, shape: Shape) -> Array:
        return matrix.swapaxes(1, 2).reshape(shape)

    whole = windows.automatic in ("NOTSET", "VALID") and not windows.pads.any()
    return Linear(1, 2, 1, 1, rows, matrix, restored, whole=whole)


def _conv_transpose(site: Site, keeps: Keeps) -> Linear:
    """A convolution by the flipped kernel; see `Windows.transposed`."""
    groups = _groups(site.y(), site.x(1), keeps)
    rows = _patched(Windows.of(site).transposed, groups)

    def matrix(weight: Array) -> Array:
        flipped = np.flip(weight, tuple(range(2, weight.ndim)))
        parts = flipped.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
        return parts.swapaxes(2, 3).reshape(groups, -1, weight.shape[1])

    def restored(matrix: Array, shape: Shape) -> Array:
        parts = matrix.reshape(groups, shape[0] // groups, -1, shape[1]).swapaxes(2, 3)
        return np.flip(parts.reshape(shape), tuple(range(2, len(shape))))

    return Linear(1, 2, 1, 1, rows, matrix, restored, whole=False)


def _groups(whole: Value, weight: Value, keeps: Keeps) -> int:
    """How often the channels of one group, which the weight's second axis holds, are in all."""
    return kept_size(whole.dims[1], keeps) // max(kept_size(weight.dims[1], keeps), 1)


def _patched(read: Callable[[Array, Shape, Shape, Places], Array], groups: int) -> Rows:
    """Rows of what `read` gathers for a kernel and places: ``[r, (g i), k]``."""

    def rows(x: Array, weight: Shape, y: Shape, places: Places) -> Array:
        patches = read(x, weight[2:], y[2:], places)
        return np.ascontiguousarray(patches.reshape(len(patches), groups, -1).swapaxes(0, 1))

    return rows


_LINEAR: Mapping[str, Callable[[Site, Keeps], Linear | None]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "FusedMatMul": _fused_matmul,
    "Gemm": _gemm,
    "MatMul": _matmul,
}
