"""What a selector decides on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.blocks import Block, without
from onnxprune.coupling.groups import Group
from onnxprune.passes.score.scoring import Scores
from onnxprune.passes.select.alignment import RoundTo, kept_counts
from onnxprune.passes.select.curve import Curve

LARGEST_RATIO = 0.9
"""No group loses more than this share by rank: one layer must not strangle the network."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What is to be decided: which indices of each group stay.

    Attributes:
        analysis: the model.
        scores: importance by group, shape ``[v]`` or ``[g, v]`` (ragged: ranked in each row).
        ratio: fraction to remove, in [0, 1).
        round_to: widths become multiples of it; see `kept_counts`.
        least: fewest indices kept of a group; 1 where a group is absent.
        fixed: groups of which the user said what fraction to remove.
        absolute: whether scores are losses that add up over groups.
        blocks: residual blocks that may go whole, with what is lost then.
        curves: what meeting each budget cost on the way, once that is decided.
    """

    analysis: Analysis
    scores: Mapping[Group, Scores]
    ratio: float
    round_to: RoundTo = "auto"
    least: Mapping[Group, int] = field(default_factory=dict[Group, int])
    fixed: Mapping[Group, float] = field(default_factory=dict[Group, float])
    absolute: bool = False
    blocks: Mapping[Block, float] = field(default_factory=dict[Block, float])
    curves: list[Curve] = field(default_factory=list[Curve])

    @property
    def free(self) -> dict[Group, Scores]:
        """The scores of the groups that are left to decide on."""
        return {group: scores for group, scores in self.scores.items() if group not in self.fixed}

    def keep(self, shares: Mapping[Group, float]) -> dict[Dim, Keep]:
        """Keep the most important indices, where each group loses a share; widths are rounded."""
        wanted = {**shares, **self.fixed}
        return self.keep_counts(kept_counts(self.analysis, wanted, self.round_to, self.least))

    def keep_counts(self, counts: Mapping[Group, int]) -> dict[Dim, Keep]:
        """Keep so many of each group, the most important ones; whole groups are left out."""
        some = {g: n for g, n in counts.items() if 0 < n < g.size}
        keeps = {group.leaf: keep_best(group, self.scores[group], n) for group, n in some.items()}
        return keeps | without(group for group, count in counts.items() if not count)


def keep_best(group: Group, importance: Scores, count: int) -> Keep:
    """Keep the `count` indices with the highest importance; ties go to the lower index."""
    order = np.argsort(-importance, axis=-1, kind="stable")[..., :count]
    mask = np.zeros(importance.shape, dtype=np.bool_)
    np.put_along_axis(mask, order, True, axis=-1)
    return Keep(mask, group.over)


def by_index(importance: Scores) -> Scores:
    """One number for each index; of a ragged group, the mean over equally ranked ones."""
    if importance.ndim == 1:
        return importance
    ranked: Scores = np.sort(importance, axis=1).mean(axis=0)
    return ranked


Selector = Callable[[Selection], dict[Dim, Keep]]
"""What stays of each group; groups that keep everything may be left out."""
