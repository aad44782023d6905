"""Ranked selection: all channels together, or those of isomorphic groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.groups import Group
from onnxprune.coupling.isomorphism import isomorphism_classes
from onnxprune.passes.score.scoring import Scores
from onnxprune.passes.select.selection import LARGEST_RATIO, Selection, by_index


def ranked(selection: Selection) -> dict[Dim, Keep]:
    """Remove the least important `ratio` of all indices of all groups.

    A group's mean importance is 1, unless the scores are normalised in another way; that makes
    them comparable.
    """
    return selection.keep(_shares(selection.free, selection.ratio))


def isomorphic(selection: Selection) -> dict[Dim, Keep]:
    """Rank only groups of the same structure together; each class loses `ratio` of its indices.

    Source: G. Fang et al., "Isomorphic Pruning for Vision Models", ECCV 2024.
    """
    classes = isomorphism_classes(selection.analysis, list(selection.free))
    together: dict[int, dict[Group, Scores]] = defaultdict(dict)
    for group, importance in selection.free.items():
        together[classes[group]][group] = importance
    shares: dict[Group, float] = {}
    for alike in together.values():
        shares.update(_shares(alike, selection.ratio))
    return selection.keep(shares)


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
