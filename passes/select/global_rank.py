"""Global selection: all channels ranked together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.groups import Group
from onnxprune.passes.score.magnitude import Scores
from onnxprune.passes.select.alignment import RoundTo, kept_count
from onnxprune.passes.select.uniform import keep_best

LARGEST_RATIO = 0.9
"""No group loses more than this share: one layer must not strangle the network."""


def select_global(
    scores: Mapping[Group, Scores], ratio: float, round_to: RoundTo, minimum: int = 1
) -> dict[Dim, Keep]:
    """Remove the least important `ratio` of all indices of all groups.

    Args:
        scores: importance by group; a group's mean importance is 1, which makes them comparable.
        ratio: fraction of all indices to remove, in [0, 1).
        round_to: see `kept_count`.
        minimum: fewest indices kept of a group.
    """
    flat = {group: np.sort(_by_index(importance)) for group, importance in scores.items()}
    everything = np.sort(np.concatenate([*flat.values(), np.zeros(0)]))
    count = int(len(everything) * ratio + 1e-9)
    if not count:
        return {}
    threshold = everything[count - 1]
    keeps = {}
    for group, importance in scores.items():
        below = int(np.searchsorted(flat[group], threshold, side="right"))
        share = min(below / group.size, LARGEST_RATIO)
        keep = keep_best(group, importance, kept_count(group, share, round_to, minimum))
        if not keep.keeps_all:
            keeps[group.leaf] = keep
    return keeps


def _by_index(importance: Scores) -> Scores:
    """One number for each index; of a ragged group, the mean over equally ranked ones."""
    if importance.ndim == 1:
        return importance
    ranked: Scores = np.sort(importance, axis=1).mean(axis=0)
    return ranked
