"""Goals: the widths that several steps work towards.

The first step decides on them, as if it were the only one, and each goes its part of the way; what
is scored anew is which channels stay. Widths that were decided anew in each step would be decided
on what is left and fitted: there, what is hard to spare looks as cheap as the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Self

from onnxprune.axes import Keeps, kept_size
from onnxprune.coupling.groups import Group
from onnxprune.passes.schedule import left_after


@dataclass(frozen=True, slots=True)
class Goals:
    """Where groups are and where they go.

    Attributes:
        widths: number of indices when it was decided, and at the end, by group (`named`).
        since: how much of the way lay behind when it was decided, in [0, 1).
        reached: how much of it lies behind now.
    """

    widths: Mapping[str, tuple[int, int]]
    since: float = 0.0
    reached: float = 0.0

    @classmethod
    def of(cls, groups: Iterable[Group], keeps: Keeps, since: float = 0.0) -> Self:
        """What is to stay in the end.

        Args:
            groups: all that may shrink.
            keeps: what stays in the end.
            since: how much of the way lies behind.
        """
        widths = {n: (g.size, kept_size(g.leaf, keeps)) for n, g in named(groups).items()}
        return cls(widths, since, since)

    def fit(self, groups: Iterable[Group]) -> bool:
        """Whether these are the groups that it was decided on: a removal may couple others."""
        found = named(groups)
        open_ones = {name for name, (start, end) in self.widths.items() if 0 < end < start}
        return open_ones <= found.keys() and all(
            name in self.widths and self.widths[name][1] <= group.size
            for name, group in found.items()
        )

    def counts(
        self, groups: Iterable[Group], way: float, schedule: str = "linear"
    ) -> dict[Group, int]:
        """How many indices of each group stay after a part of the way; what goes whole goes first.

        Args:
            groups: those that it was decided on.
            way: how much of the way lies behind then, in (`since`, 1].
            schedule: how widths shrink on it.
        """
        part = (way - self.since) / (1 - self.since)
        counts: dict[Group, int] = {}
        for name, group in named(groups).items():
            start, end = self.widths[name]
            left = left_after(schedule, end / start, part)
            wanted = ceil(start * left - 1e-9) if end else 0
            counts[group] = min(wanted, group.size)
        return counts


def of_the_rest(ratio: float, way: float, schedule: str = "linear") -> float:
    """What share of the rest goes where some of the way lies behind."""
    return 1 - (1 - ratio) / left_after(schedule, 1 - ratio, way)


def named(groups: Iterable[Group]) -> dict[str, Group]:
    """Groups by their names, those of equal ones numbered."""
    found: dict[str, Group] = {}
    for group in groups:
        name, place = group.name, 1
        while name in found:
            place += 1
            name = f"{group.name}::{place}"
        found[name] = group
    return found
