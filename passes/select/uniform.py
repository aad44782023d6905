"""Uniform selection: the same fraction of every group."""

from __future__ import annotations

from onnxprune.axes import Dim, Keep
from onnxprune.passes.select.selection import Selection


def uniform(selection: Selection) -> dict[Dim, Keep]:
    """Keep the most important ``1 - ratio`` of every group."""
    return selection.keep(dict.fromkeys(selection.free, selection.ratio))
