"""The axis algebra: what an index along an axis means, and which indices mean the same thing.

Knows nothing of ONNX. `Dim` is a node, `DimSpace` unifies and blocks, `axis_mask` turns keep
masks of leaves into masks of axes, `Tracer` replays why two dims are one.
"""

from onnxprune.axes.dim import Block, Dim
from onnxprune.axes.mask import (
    BoolArray,
    Keep,
    Keeps,
    Rows,
    axis_mask,
    is_touched,
    kept_size,
    leaf_masks,
    ragged_rows,
    tensor_mask,
)
from onnxprune.axes.order import Orders, axis_order
from onnxprune.axes.places import places_of, sum_onto
from onnxprune.axes.shuffles import resolve_shuffle
from onnxprune.axes.space import DimSpace, Edge
from onnxprune.axes.trace import Tracer

__all__ = [
    "Block",
    "BoolArray",
    "Dim",
    "DimSpace",
    "Edge",
    "Keep",
    "Keeps",
    "Orders",
    "Rows",
    "Tracer",
    "axis_mask",
    "axis_order",
    "is_touched",
    "kept_size",
    "leaf_masks",
    "places_of",
    "ragged_rows",
    "resolve_shuffle",
    "sum_onto",
    "tensor_mask",
]
