"""Two models that differ in some weights only: the rest is the same, bit by bit."""

from __future__ import annotations

from collections.abc import Collection

from onnxprune.ir.model import Model
from onnxprune.ir.tensors import Tensor


def differing(before: Model, after: Model, names: Collection[str]) -> str:
    """What else differs than the elements of some constants; "" if nothing does.

    Args:
        before: a model.
        after: the same with other weights.
        names: of these weights.

    Returns:
        The name of a constant, or of the first result of a node.
    """
    old, new = before.constants, after.constants
    for name in dict.fromkeys((*old, *new)):
        if name not in old or name not in new or not _alike(old[name], new[name]):
            return name
        if name not in names and old[name] is not new[name] and old[name].raw() != new[name].raw():
            return name
    nodes, others = ([*model.proto.graph.node] for model in (before, after))
    if len(nodes) != len(others):
        return "the graph"
    return next((a.output[0] for a, b in zip(nodes, others, strict=True) if a != b), "")


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.elem_type == other.elem_type
