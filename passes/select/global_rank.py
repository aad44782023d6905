"""Ranked selection: all channels together, or those of isomorphic groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group
from onnxprune.passes.score.magnitude import Scores
from onnxprune.passes.select.alignment import RoundTo, kept_counts
from onnxprune.passes.select.uniform import keep_counted

LARGEST_RATIO = 0.9
"""No group loses more than this share: one layer must not strangle the network."""


def select_ranked(
    analysis: Analysis,
    scores: Mapping[Group, Scores],
    ratio: float,
    round_to: RoundTo,
    minimum: int = 1,
    classes: Mapping[Group, int] | None = None,
) -> dict[Dim, Keep]:
    """Remove the least important `ratio` of all indices of all groups.

    Args:
        analysis: the model.
        scores: importance by group; a group's mean importance is 1, which makes them comparable.
        ratio: fraction of all indices to remove, in [0, 1).
        round_to: see `kept_counts`.
        minimum: fewest indices kept of a group.
        classes: where given, only groups of one class are ranked together, and each class loses
            `ratio` of its indices.
    """
    ranked: dict[int, dict[Group, Scores]] = defaultdict(dict)
    for group, importance in scores.items():
        ranked[0 if classes is None else classes[group]][group] = importance
    shares: dict[Group, float] = {}
    for together in ranked.values():
        shares.update(_shares(together, ratio))
    return keep_counted(scores, kept_counts(analysis, shares, round_to, minimum))


def _shares(scores: Mapping[Group, Scores], ratio: float) -> dict[Group, float]:
    """The share that each group loses, where `ratio` of all their indices go."""
    flat = {group: np.sort(by_index(importance)) for group, importance in scores.items()}
    everything = np.sort(np.concatenate([*flat.values(), np.zeros(0)]))
    count = int(len(everything) * ratio + 1e-9)
    if not count:
        return dict.fromkeys(scores, 0.0)
    threshold = everything[count - 1]
    return {
        group: min(int(np.count_nonzero(flat[group] <= threshold)) / group.size, LARGEST_RATIO)
        for group in scores
    }


def by_index(importance: Scores) -> Scores:
    """One number for each index; of a ragged group, the mean over equally ranked ones."""
    if importance.ndim == 1:
        return importance
    ranked: Scores = np.sort(importance, axis=1).mean(axis=0)
    return ranked
