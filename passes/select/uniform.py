"""Uniform selection: the same fraction of every group."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group
from onnxprune.passes.score.magnitude import Scores
from onnxprune.passes.select.alignment import RoundTo, kept_counts


def select_uniform(
    analysis: Analysis,
    scores: Mapping[Group, Scores],
    ratio: float,
    round_to: RoundTo,
    minimum: int = 1,
) -> dict[Dim, Keep]:
    """Keep the most important ``1 - ratio`` of every group, rounded to what hardware likes.

    Args:
        analysis: the model.
        scores: importance by group, shape ``[v]`` or ``[g, v]`` (ragged: ranked in each row).
        ratio: fraction to remove, in [0, 1).
        round_to: see `kept_counts`.
        minimum: fewest indices kept of a group.
    """
    counts = kept_counts(analysis, dict.fromkeys(scores, ratio), round_to, minimum)
    return keep_counted(scores, counts)


def keep_counted(scores: Mapping[Group, Scores], counts: Mapping[Group, int]) -> dict[Dim, Keep]:
    """Keep the most important indices of each group; groups that keep all are left out."""
    keeps = {g.leaf: keep_best(g, importance, counts[g]) for g, importance in scores.items()}
    return {leaf: keep for leaf, keep in keeps.items() if not keep.keeps_all}


def keep_best(group: Group, importance: Scores, count: int) -> Keep:
    """Keep the `count` indices with the highest importance; ties go to the lower index."""
    order = np.argsort(-importance, axis=-1, kind="stable")[..., :count]
    mask = np.zeros(importance.shape, dtype=np.bool_)
    np.put_along_axis(mask, order, True, axis=-1)
    return Keep(mask, group.over)
