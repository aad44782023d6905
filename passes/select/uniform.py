"""Uniform selection: the same fraction of every group."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.groups import Group
from onnxprune.passes.score.magnitude import Scores
from onnxprune.passes.select.alignment import RoundTo, kept_count


def select_uniform(
    scores: Mapping[Group, Scores], ratio: float, round_to: RoundTo, minimum: int = 1
) -> dict[Dim, Keep]:
    """Keep the most important ``1 - ratio`` of every group, rounded to what hardware likes.

    Args:
        scores: importance by group, shape ``[v]`` or ``[g, v]`` (ragged: ranked in each row).
        ratio: fraction to remove, in [0, 1).
        round_to: see `kept_count`.
        minimum: fewest indices kept of a group.
    """
    keeps = {}
    for group, importance in scores.items():
        keep = keep_best(group, importance, kept_count(group, ratio, round_to, minimum))
        if not keep.keeps_all:
            keeps[group.leaf] = keep
    return keeps


def keep_best(group: Group, importance: Scores, count: int) -> Keep:
    """Keep the `count` indices with the highest importance; ties go to the lower index."""
    order = np.argsort(-importance, axis=-1, kind="stable")[..., :count]
    mask = np.zeros(importance.shape, dtype=np.bool_)
    np.put_along_axis(mask, order, True, axis=-1)
    return Keep(mask, group.over)
