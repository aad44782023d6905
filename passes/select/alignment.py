"""Widths that hardware likes.

ONNX Runtime's blocked convolutions need channels in multiples of 4 and work in blocks of 8 or 16:
63 channels take longer than 64. What is rounded is the width that an operator sees, an axis of a
weight: the leaf itself where the axis is that leaf (times other factors), and the sum of the parts
where a layer's axis is cut into segments that no other layer sees by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import gcd, prod

from onnxprune.axes import Dim
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group

RoundTo = int | str
"""A multiple, or ``auto``."""
AUTO_MULTIPLES = (16, 8, 4)
"""What ``auto`` tries, best first: whole blocks with AVX-512, with AVX2, and blocked at all."""
AUTO_SLACK = 0.08
"""How far ``auto`` may stray from what was asked for, as a share of the group."""


def kept_counts(
    analysis: Analysis,
    ratios: Mapping[Group, float],
    round_to: RoundTo,
    least: Mapping[Group, int] | None = None,
) -> dict[Group, int]:
    """How many indices of each group stay.

    Args:
        analysis: the model.
        ratios: fraction to remove, in [0, 1), by group.
        round_to: widths become multiples of it where that is possible.
        least: fewest indices kept of a group; 1 where a group is absent.
    """
    fewest = {group: (least or {}).get(group, 1) for group in ratios}
    by_leaf = {group.leaf: group for group in ratios}
    axes = _shared_axes(analysis, by_leaf)
    placed = set[Group]().union(*axes)
    steps = {group: 0 for group in ratios if group not in placed}
    for parts in axes:
        for group in parts if len(parts) == 1 else ():
            steps[group] = gcd(steps.get(group, 0), parts[group])
    counts = {
        group: _nearest(
            group.size,
            (1 - ratios[group]) * group.size,
            round_to,
            max(step, 1),
            fewest[group],
        )
        for group, step in steps.items()
    }
    for parts in sorted(axes, key=_width):
        _share_out(parts, ratios, round_to, fewest, counts)
    return counts


def kept_steps(
    analysis: Analysis, groups: Iterable[Group], round_to: RoundTo, least: Mapping[Group, int]
) -> dict[Group, list[int]]:
    """The numbers of indices that each group may keep, from all of them down.

    Widths are multiples as in `kept_counts`, of each group by itself: a sum of multiples is one.

    Args:
        analysis: the model.
        groups: the groups to select from.
        round_to: widths become multiples of it where that is possible.
        least: fewest indices kept of each group.
    """
    by_leaf = {group.leaf: group for group in groups}
    steps: dict[Group, int] = {}
    for parts in _shared_axes(analysis, by_leaf):
        for group, times in parts.items():
            steps[group] = gcd(steps.get(group, 0), times)
    allowed: dict[Group, list[int]] = {}
    for group in by_leaf.values():
        step = steps.get(group)
        unit = 1 if step is None else _unit(group.size * step, round_to, step)
        counts = range(max(least[group], 1), group.size)
        allowed[group] = [group.size, *(n for n in reversed(counts) if n % unit == 0)]
    return allowed


def _unit(width: int, round_to: RoundTo, step: int) -> int:
    """The step between numbers of indices whose width (times `step`) is a multiple."""
    if isinstance(round_to, int):
        return round_to // gcd(round_to, step)
    close = (m for m in AUTO_MULTIPLES if m <= 2 * AUTO_SLACK * width)
    multiple = next(close, AUTO_MULTIPLES[-1])
    return multiple // gcd(multiple, step)


def _share_out(
    parts: Mapping[Group, int],
    ratios: Mapping[Group, float],
    round_to: RoundTo,
    least: Mapping[Group, int],
    counts: dict[Group, int],
) -> None:
    """Round the width of an axis as a whole, and hand what is left to its undecided parts.

    Args:
        parts: how often the axis has each index of a group.
        ratios: fraction to remove by group.
        round_to: see `kept_counts`.
        least: fewest indices kept of each group.
        counts: what is decided; receives the rest.
    """
    open_parts = [group for group in parts if group not in counts]
    if not open_parts:
        return
    wanted = {group: (1 - ratios[group]) * group.size for group in open_parts}
    decided = sum(counts[group] * times for group, times in parts.items() if group in counts)
    target = decided + sum(wanted[group] * parts[group] for group in open_parts)
    width = _width(parts)
    room = _nearest(width, target, round_to, 1, 1) - decided
    for group in open_parts:
        counts[group] = min(max(int(wanted[group]), least[group]), group.size)
    used = sum(counts[group] * parts[group] for group in open_parts)
    by_remainder = sorted(open_parts, key=lambda group: int(wanted[group]) - wanted[group])
    while any(counts[group] < group.size and used + parts[group] <= room for group in by_remainder):
        for group in by_remainder:
            if counts[group] < group.size and used + parts[group] <= room:
                counts[group] += 1
                used += parts[group]


def _nearest(size: int, target: float, round_to: RoundTo, step: int, minimum: int) -> int:
    """The count nearest to `target` whose width (times `step`) is a multiple; else all `size`.

    ``auto`` takes the largest multiple that stays close to what was asked for.
    """
    least = max(minimum, 1)
    if isinstance(round_to, int):
        return _rounded(size, target, round_to, step, least)
    counts = [_rounded(size, target, multiple, step, least) for multiple in AUTO_MULTIPLES]
    close = (count for count in counts if abs(count - target) <= AUTO_SLACK * size)
    return next(close, counts[-1])


def _rounded(size: int, target: float, multiple: int, step: int, least: int) -> int:
    if target > size - 1e-9:
        return size
    unit = multiple // gcd(multiple, step)
    target = max(target, least)
    if unit == 1:
        return min(int(target + 0.5), size)
    below, above = int(target + 1e-9) // unit * unit, -int(-(target - 1e-9) // unit) * unit
    nearest = below if below >= least and target - below < above - target else above
    return min(nearest, size)


def _width(parts: Mapping[Group, int]) -> int:
    return sum(group.size * times for group, times in parts.items())


def _shared_axes(analysis: Analysis, by_leaf: Mapping[Dim, Group]) -> list[dict[Group, int]]:
    """The distinct axes of the factors of products: how often each has each index of a group.

    Biases, scales and tables do not count: nothing that is slow depends on their width. An axis
    that counts the blocks of a weight is no width either; that is on the activations that it meets.
    """
    factors, met = set[str](), dict[str, None]()
    for placed in analysis.placed:
        inputs = placed.node.inputs
        for role in placed.site.roles:
            if role.operand >= 0 and role.name in ("batch", "contracted", "outer"):
                sources = analysis.sources.get(inputs[role.operand], ())
                factors.update(name for name in sources if not analysis.in_blocks(name))
                if any(map(analysis.in_blocks, sources)):
                    met.update(dict.fromkeys(inputs))
    axes: dict[Dim, dict[Group, int]] = {}
    names = [name for name in analysis.weights if name in factors - analysis.steps]
    names += [name for name in met if name in analysis.values and name not in analysis.sources]
    for name in names:
        for dim in analysis.values[name].dims:
            if dim.root not in axes:
                axes[dim.root] = {}
                _count(dim.root, 1, by_leaf, axes[dim.root])
    return [parts for parts in axes.values() if parts]


def _count(root: Dim, times: int, by_leaf: Mapping[Dim, Group], parts: dict[Group, int]) -> None:
    if root.segments or root.members:
        for part in root.members[:1] or root.walk_segments():
            _count(part.root, times, by_leaf, parts)
        return
    factors = root.walk_factors()
    total = prod(factor.size for factor in factors)
    for factor in factors:
        if factor in by_leaf:
            group = by_leaf[factor]
            parts[group] = parts.get(group, 0) + times * total // factor.size
        elif not factor.is_atomic:
            _count(factor, times * total // factor.size, by_leaf, parts)
