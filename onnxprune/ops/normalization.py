"""Normalisations: their statistics run over reduced letters (``!``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.ops.operator import Gain, signature
from onnxprune.ops.site import Site

Array = npt.NDArray[Any]


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
    coerced = site.op_type in ("Softmax", "LogSoftmax") and site.version < 13
    axis = site.axis(site.attribute("axis", 1 if coerced else -1), rank)
    marked = range(axis, rank) if coerced else (axis,)
    axes = ", ".join(f"a{i}!" if i in marked else f"a{i}" for i in range(rank))
    return f"x[{axes}] -> y[{axes}]"


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
)
