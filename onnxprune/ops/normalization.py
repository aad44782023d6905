"""Normalisations: their statistics run over reduced letters (``!``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.ops.operator import Gain, signature
from onnxprune.ops.site import Site

Array = npt.NDArray[Any]
MEAN_VARIANCE_EPSILON = 1e-9
"""What MeanVarianceNormalization adds to the deviation, by its definition."""


def _batch(site: Site) -> str:
    """In training mode (weight standardisation is exported so) the statistics are its own."""
    training = site.attribute("training_mode", 0)
    x = "n!, c, *s!" if training else "n, c, *s"
    return (
        f"x[{x}], scale[c], bias[c], mean[c], var[c] -> y[n, c, *s], m[c]?, v[c]?, sm[c]?, sv[c]?"
    )


def _batch_gain(site: Site, scale: Array, variance: Array) -> Array:
    """What exporters fold into the layer before: scale / sqrt(var + epsilon).

    In training mode the statistics are the batch's own, and only the scale is known.
    """
    if site.attribute("training_mode", 0):
        return scale.astype(np.float64)
    deviation = np.sqrt(variance.astype(np.float64) + site.attribute("epsilon", 1e-5))
    return scale.astype(np.float64) / deviation


def _layer(site: Site) -> str:
    rank = len(site.x().shape)
    first = site.axis(site.attribute("axis", -1), rank)
    axes = [f"o{i}" if i < first else f"c{i}" for i in range(rank)]
    x = ", ".join(axes[:first] + [f"{a}!" for a in axes[first:]])
    ones = ", ".join(axes[:first] + [f"u{i}" for i in range(first, rank)])
    scale, bias = (
        ", ".join(axes[rank - len(site.x(i).shape) :]) if site.has(i) else "" for i in (1, 2)
    )
    return (
        f"x[{x}], scale[{scale}], bias[{bias}]?"
        f" -> y[{', '.join(axes)}], mean[{ones}]?, deviation[{ones}]?"
    )


def _along_axis(site: Site) -> str:
    """One normalised axis; before opset 13 softmax normalises all axes from it on."""
    rank = len(site.x().shape)
    coerced = site.op_type in ("Softmax", "LogSoftmax", "Hardmax") and site.version < 13
    axis = site.axis(site.attribute("axis", 1 if coerced else -1), rank)
    marked = range(axis, rank) if coerced else (axis,)
    axes = ", ".join(f"a{i}!" if i in marked else f"a{i}" for i in range(rank))
    return f"x[{axes}] -> y[{axes}]"


def standardised_axes(site: Site) -> list[int]:
    """The axes that MeanVarianceNormalization takes its statistics over."""
    rank = len(site.x().shape)
    return sorted(site.axis(axis, rank) for axis in site.ints("axes") or (0, 2, 3))


def _mean_variance(site: Site) -> str:
    axes = standardised_axes(site)
    x = ", ".join(f"a{i}!" if i in axes else f"a{i}" for i in range(len(site.x().shape)))
    return f"x[{x}] -> y[{x}]"


def _normalizer(site: Site) -> str:
    """Sums of what is hidden are 0; a maximum is not."""
    last = "#c" if site.attribute("norm", "MAX") == "MAX" else "c!"
    batch = "n, " * (len(site.x().shape) - 1)
    return f"x[{batch}{last}] -> y[{batch}{last}]"


OPERATORS = (
    signature(
        "BatchNormalization",
        _batch,
        masked="BatchNormalization",
        gain=Gain(1, (1, 4), _batch_gain),
    ),
    signature(
        "InstanceNormalization",
        "x[n, c, *s!], scale[c], bias[c] -> y[n, c, *s]",
        masked="InstanceNormalization",
    ),
    signature(
        "GroupNormalization",
        "x[n, (g c!), *s!], scale[(g c)], bias[(g c)] -> y[n, (g c), *s]",
        since=21,
        attributes={"num_groups": "g"},
        masked="GroupNormalization",
    ),
    signature("LayerNormalization", _layer, masked="LayerNormalization"),
    signature("RMSNormalization", _layer, since=23, masked="RMSNormalization"),
    signature("LpNormalization", _along_axis),
    signature("Softmax", _along_axis, masked="Softmax"),
    signature("LogSoftmax", _along_axis, masked="LogSoftmax"),
    signature("Hardmax", _along_axis, masked="Hardmax"),
    signature(
        "MeanVarianceNormalization",
        _mean_variance,
        since=9,
        masked="MeanVarianceNormalization",
    ),
    signature(
        "LRN",
        "x[n, #c, *s] -> y[n, c, *s]",
        opaque={"c": "neighbouring channels are normalised together"},
    ),
    signature("Normalizer", _normalizer, domain="ai.onnx.ml"),
)
