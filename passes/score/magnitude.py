"""Magnitude: a channel matters as much as the weights that produce it are large.

Source: H. Li, A. Kadav, I. Durdanovic, H. Samet, H. P. Graf, "Pruning Filters for Efficient
ConvNets", ICLR 2017 (l1); the sum over coupled weights follows G. Fang et al., "DepGraph: Towards
Any Structural Pruning", CVPR 2023.
"""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Group
from onnxprune.passes.score.scoring import Scores, Scoring


def l1(scoring: Scoring) -> dict[Group, Scores]:
    """Sum of absolute values."""
    return scoring.measured(lambda table: np.abs(table).sum(axis=-1, dtype=np.float64))


def l2(scoring: Scoring) -> dict[Group, Scores]:
    """Root of the sum of squares."""
    return scoring.measured(lambda table: np.sqrt(np.square(table).sum(axis=-1, dtype=np.float64)))


def largest(scoring: Scoring) -> dict[Group, Scores]:
    """Largest absolute value."""
    return scoring.measured(lambda table: np.abs(table).max(axis=-1))
