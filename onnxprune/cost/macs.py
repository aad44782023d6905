"""Multiply-accumulates and parameters, from the signatures' letters."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from onnxprune.axes import Keeps
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group

NOTHING: Keeps = {}
"""Keep masks that keep everything."""


def count_macs(
    analysis: Analysis, keeps: Keeps = NOTHING, made: Collection[str] | None = None
) -> int:
    """Multiply-accumulates of one run at the analysed input shapes; every branch counts.

    Args:
        analysis: the model.
        keeps: what stays of each leaf.
        made: the values that are still computed, if not all are.
    """
    return sum(
        placed.macs(keeps)
        for placed in analysis.placed
        if made is None or any(name in made for name in placed.node.outputs)
    )


def macs_touched(analysis: Analysis, groups: Iterable[Group]) -> int:
    """Multiply-accumulates of the operators that carry a leaf of some group."""
    leaves = {group.leaf for group in groups}
    return sum(
        placed.macs(NOTHING)
        for placed in analysis.placed
        if any(leaf in leaves for dim in placed.site.letters.values() for leaf in dim.leaves())
    )


def parameters_touched(analysis: Analysis, groups: Iterable[Group]) -> int:
    """Numbers in the weights that carry a leaf of some group."""
    return sum(map(analysis.parameters, {m.weight for g in groups for m in g.members}))
