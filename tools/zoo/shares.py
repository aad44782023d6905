"""Shares of a model's parameters: what can be pruned, what was, and what could be at most.

All shares are of the numbers in the weights of the canonical model, quantized ones included.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod

from zoo.blocked import Blocks

from onnxprune.axes import Dim, Keep, kept_size
from onnxprune.cost.macs import parameters_touched
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import DEFAULT_KINDS, Group
from onnxprune.passes import RemoveChannels
from onnxprune.passes.work import Removal, Work


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the parameters, each in [0, 1].

    Attributes:
        exact: removed when widths need not be multiples of anything.
        free: removed if every free axis lost the ratio, to the nearest whole index, whichever
            groups were offered; but for kinds that are off by default.
        bound: the same if the axes that are blocked for convenience were free, too.
    """

    exact: float
    free: float
    bound: float


def weigh(removal: Removal) -> tuple[int, float]:
    """Returns the parameters, and the share of them in weights that an offered group touches."""
    analysis = removal.analysis
    total = int(_size(analysis, _whole))
    return total, parameters_touched(analysis, removal.chosen) / max(total, 1)


def measure_shares(
    removal: Removal, settings: RemoveChannels, blocks: Blocks
) -> tuple[Shares, list[str]]:
    """Measures the shares of one removal's model.

    Args:
        removal: what was removed.
        settings: what the removal was asked for.
        blocks: what blocks the leaves of the model.

    Returns:
        The shares, and the groups that keep too much before rounding, by most parameters.
    """
    analysis, ratio = removal.analysis, settings.ratio
    model = analysis.canonical.model
    keeps = replace(settings, round_to=1).select(analysis, removal.chosen, Work(model, model))
    best = _best(removal, ratio)
    free = _fractions(best, ratio)
    freed = free | {leaf: nearest(leaf.size, ratio) for leaf in blocks.convenient}
    total = max(_size(analysis, _whole), 1)
    shares = Shares(
        1 - _size(analysis, lambda dim: kept_size(dim, keeps)) / total,
        1 - _kept(analysis, free) / total,
        1 - _kept(analysis, freed) / total,
    )
    return shares, _short_groups(best, keeps, ratio)


def free_share(removal: Removal, ratio: float) -> float:
    """Returns the share that is removed if every free axis loses the ratio; see `Shares.free`."""
    analysis = removal.analysis
    kept = _kept(analysis, _fractions(_best(removal, ratio), ratio))
    return 1 - kept / max(_size(analysis, _whole), 1)


def nearest(size: int, ratio: float) -> float:
    """Returns the part that stays of a leaf: the nearest whole number of indices, at least one."""
    return max(int((1 - ratio) * size + 0.5), 1) / size


def kept_fraction(dim: Dim, fractions: Mapping[Dim, float]) -> float:
    """Returns the part of an axis that stays.

    Of a product whose factors clash, the one that loses most is cut.

    Args:
        dim: the axis.
        fractions: the part of each leaf that stays; leaves that are absent stay whole.
    """
    root = dim.root
    if root.members:
        return kept_fraction(root.members[0], fractions)
    if root.segments:
        kept = (part.size * kept_fraction(part, fractions) for part in root.walk_segments())
        return sum(kept) / root.size
    factors = root.walk_factors() if root.factors else ()
    return min(
        (kept_fraction(factor, fractions) for factor in factors), default=fractions.get(root, 1.0)
    )


def _best(removal: Removal, ratio: float) -> list[Group]:
    """One group of each product, so that most is lost: the offered ones, or those nearest to it."""

    def rank(group: Group) -> tuple[float, int, int]:
        off = abs(nearest(group.size, ratio) - (1 - ratio))
        return round(off, 6), -group.parameters, -group.size

    closest: list[Group] = []
    for group in sorted(removal.groups, key=rank):
        if group.kind in DEFAULT_KINDS and not any(rival in closest for rival in group.rivals):
            closest.append(group)
    choices = (removal.chosen, closest)
    return min(choices, key=lambda groups: _kept(removal.analysis, _fractions(groups, ratio)))


def _fractions(groups: Iterable[Group], ratio: float) -> dict[Dim, float]:
    return {group.leaf: nearest(group.size, ratio) for group in groups}


def _kept(analysis: Analysis, fractions: Mapping[Dim, float]) -> float:
    return _size(analysis, lambda dim: dim.size * kept_fraction(dim, fractions))


def _whole(dim: Dim) -> float:
    return dim.size


def _size(analysis: Analysis, kept: Callable[[Dim], float]) -> float:
    return sum(
        prod(map(kept, analysis.values[name].dims)) * analysis.held(name)
        for name in analysis.weights
    )


def _short_groups(
    groups: Iterable[Group], keeps: Mapping[Dim, Keep], ratio: float, count: int = 3
) -> list[str]:
    """The groups that keep more than whole indices ask for, by most parameters."""
    short = []
    for group in groups:
        kept = keeps[group.leaf].count if group.leaf in keeps else group.size
        excess = kept / group.size - nearest(group.size, ratio)
        short.append((excess * group.parameters, f"{group.name} keeps {kept} of {group.size}"))
    short.sort(reverse=True)
    return [text for excess, text in short[:count] if excess >= 1]
