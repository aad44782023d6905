"""Measured sensitivity: channels are worth what the outputs lose with them.

The least important channels of each group, by second order, are removed in steps, and the model
runs without them; what a step adds to the deviation of the outputs is shared among its channels.
Unlike all other criteria it says how groups compare, so its scores are not normalised by group.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.groups import Group
from onnxprune.passes.measure.journal import Journal
from onnxprune.passes.measure.sensitivity import GroupSensitivity, measure_groups
from onnxprune.passes.measure.trials import trials_on
from onnxprune.passes.score.scoring import Scores, Scoring
from onnxprune.passes.score.second_order import obs

STEPS = (0.125, 0.25, 0.5, 0.75, 0.9)
"""Shares of a group that are removed."""
_TINY = 1e-6
"""By what share channels of one step differ, so that their order stays."""
_MOST = 1e6
"""Stands for an infinite loss."""
_LEAST = 1e-30
_LEAST_LEFT = 1e-3


def sensitivity(scoring: Scoring) -> dict[Group, Scores]:
    """What the outputs lose, measured group by group in steps; comparable between groups."""
    order = obs(replace(scoring, normalization="none"))
    with trials_on(scoring.analysis, scoring.groups, scoring.batches()) as trials:
        journal = Journal(trials.recordings.digest)
        found = measure_groups(trials.groups, order, STEPS, journal, trials.run)
    return {one.group: shared(one, order[one.group]) for one in found}


sensitivity.is_absolute = True  # type: ignore[attr-defined]


def shared(found: GroupSensitivity, order: Scores) -> Scores:
    """What each index has of the loss, so that a less important one never has more.

    Args:
        found: what it costs to cut a group.
        order: importance of its indices, ``[v]`` or ``[g, v]``.

    Returns:
        Scores of the same shape and the same order; those of what was removed in a step add up to
        what the step cost, unless a later step cost less for each index: then these are taken
        together.
    """
    removed = np.array([0, *found.outcomes])
    lost = [0.0, *(additive(outcome.loss) for outcome in found.outcomes.values())]
    slopes = _rising(np.diff(removed), np.diff(np.maximum.accumulate(lost)))
    places = np.arange(found.group.size)
    steps = np.minimum(np.searchsorted(removed[1:], places, "right"), len(slopes) - 1)
    values = (slopes[steps] + _LEAST) * (1 + _TINY * places)
    ranks = np.argsort(np.argsort(order, axis=-1, kind="stable"), axis=-1)
    result: Scores = values[ranks]
    return result


def additive(loss: float) -> float:
    """A deviation as something that adds up: what is left of the signal is multiplied."""
    return -math.log(max(1 - loss, _LEAST_LEFT)) + min(max(loss - 1, 0.0), _MOST)


def _rising(widths: npt.NDArray[np.intp], losses: Scores) -> Scores:
    """Loss for each index in each step; steps that would fall are pooled with those before.

    Source: the pool-adjacent-violators algorithm, M. Ayer et al., Annals of Mathematical
    Statistics, 1955.
    """
    pools: list[tuple[int, int, float]] = []  # steps, indices, loss
    for width, loss in zip(widths.tolist(), losses.tolist(), strict=True):
        pool = (1, int(width), float(loss))
        while pools and pools[-1][2] * pool[1] >= pool[2] * pools[-1][1]:
            last = pools.pop()
            pool = (last[0] + pool[0], last[1] + pool[1], last[2] + pool[2])
        pools.append(pool)
    return np.array([loss / width for steps, width, loss in pools for _ in range(steps)] or [0.0])
