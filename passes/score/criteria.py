"""Every criterion by name."""

from __future__ import annotations

from collections.abc import Callable

from onnxprune.coupling.groups import Group
from onnxprune.passes.plugins import Registry
from onnxprune.passes.score import activation
from onnxprune.passes.score.batch_norm import norm_scale
from onnxprune.passes.score.geometric_median import fpgm
from onnxprune.passes.score.magnitude import l1, l2, largest
from onnxprune.passes.score.random_scores import random
from onnxprune.passes.score.scoring import Scores, Scoring
from onnxprune.passes.score.second_order import obs
from onnxprune.passes.score.sensitivity import sensitivity

Criterion = Callable[[Scoring], dict[Group, Scores]]

CRITERIA: Registry[Criterion] = Registry(
    "criterion",
    "onnxprune.criteria",
    {
        "l1": l1,
        "l2": l2,
        "max": largest,
        "norm-scale": norm_scale,
        "fpgm": fpgm,
        "activation": activation.mean,
        "variance": activation.variance,
        "activity": activation.activity,
        "wanda": activation.wanda,
        "obs": obs,
        "sensitivity": sensitivity,
        "random": random,
    },
)
"""What says how much channels matter; packages add to it by entry points."""


def is_absolute(criterion: Criterion) -> bool:
    """Whether a criterion's scores are losses, comparable between groups as they are.

    Such a criterion has an attribute ``is_absolute``; scores of others only rank the indices of one
    group, or of groups whose means are taken to be worth the same.
    """
    return bool(getattr(criterion, "is_absolute", False))
