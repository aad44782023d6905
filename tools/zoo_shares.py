"""Shares of a model's parameters: what can be pruned, what was, and what could be at most.

All shares are of the elements of the floating-point constants of the canonical model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from onnxprune.axes import Dim, Keep, kept_size
from onnxprune.cost.macs import parameters_touched
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import DEFAULT_KINDS, Group
from onnxprune.passes import RemoveChannels
from onnxprune.passes.work import Removal


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the parameters, each in [0, 1].

    Attributes:
        prunable: in weights that an offered group touches.
        before_rounding: removed at the ratio when widths need not be multiples of anything.
        bound: removed if every offered group could lose exactly the ratio.
        free_bound: removed if every axis with an index that is neither blocked nor of a kind that
            is off by default lost exactly the ratio, whichever factor of it was offered.
    """

    prunable: float
    before_rounding: float
    bound: float
    free_bound: float


def measure_shares(removal: Removal, ratio: float) -> tuple[Shares, list[str]]:
    """Measures the shares of one removal's model at a ratio.

    Returns:
        The shares, and the groups that miss the ratio by most parameters before rounding.
    """
    analysis, chosen = removal.analysis, removal.chosen
    total = _size(analysis, {})
    if not total:
        return Shares(0.0, 0.0, 0.0, 0.0), []
    keeps = RemoveChannels(ratio=ratio, round_to=1).select(analysis, chosen)
    kept = sum(
        prod(kept_size(dim, keeps) for dim in analysis.values[name].dims)
        for name in analysis.weights
    )
    offered = {group.leaf: 1 - ratio for group in chosen}
    free = {g.leaf: 1 - ratio for g in removal.groups if g.kind in DEFAULT_KINDS}
    shares = Shares(
        parameters_touched(analysis, chosen) / total,
        1 - kept / total,
        1 - _size(analysis, offered) / total,
        1 - _size(analysis, free) / total,
    )
    return shares, _short_groups(chosen, keeps, ratio)


def kept_fraction(dim: Dim, fractions: Mapping[Dim, float]) -> float:
    """Returns the part of an axis that stays.

    Of a product, one factor is cut: the one that loses most.

    Args:
        dim: the axis.
        fractions: the part of each leaf that stays; leaves that are absent stay whole.
    """
    root = dim.root
    if root.segments:
        kept = (part.size * kept_fraction(part, fractions) for part in root.walk_segments())
        return sum(kept) / root.size
    factors = root.walk_factors() if root.factors else ()
    return min(
        (kept_fraction(factor, fractions) for factor in factors), default=fractions.get(root, 1.0)
    )


def _short_groups(
    chosen: Iterable[Group], keeps: Mapping[Dim, Keep], ratio: float, count: int = 3
) -> list[str]:
    """The groups whose whole channels fall short of the ratio by most parameters."""
    short = []
    for group in chosen:
        kept = keeps[group.leaf].count if group.leaf in keeps else group.size
        excess = (kept / group.size - (1 - ratio)) * group.parameters
        short.append((excess, f"{group.name} keeps {kept} of {group.size}"))
    short.sort(reverse=True)
    return [text for excess, text in short[:count] if excess >= 1]


def _size(analysis: Analysis, fractions: Mapping[Dim, float]) -> float:
    return sum(_kept_elements(analysis, name, fractions) for name in analysis.weights)


def _kept_elements(analysis: Analysis, name: str, fractions: Mapping[Dim, float]) -> float:
    dims: Iterable[Dim] = analysis.values[name].dims
    return prod(dim.size * kept_fraction(dim, fractions) for dim in dims)
