"""Second order: what removing a channel costs its readers, once they have made the best of it.

A layer y = W x that loses input j and may adapt its other weights to the data loses
W_j² / [H⁻¹]_jj at least, H being the second moments of x. Sources: B. Hassibi, D. G. Stork, G. J.
Wolff, "Optimal Brain Surgeon and General Network Pruning", ICNN 1993; for layers by themselves, X.
Dong, S. Chen, S. J. Pan, "Learning to Prune Deep Neural Networks via Layer-wise Optimal Brain
Surgeon", NeurIPS 2017. Of convolutions, H is that of channels at one place; what a kernel sees
of its neighbours is left out.
"""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Group
from onnxprune.passes.score.activation import from_readers
from onnxprune.passes.score.scoring import Scores, Scoring
from onnxprune.passes.score.statistics import Array, collect_moments

DAMPING = 0.01
"""Added to the diagonal, as a share of its mean: few samples leave H singular."""


def obs(scoring: Scoring) -> dict[Group, Scores]:
    """What readers lose at least, by second moments of what they read."""
    return from_readers(
        scoring,
        lambda wanted: {
            axis: _slack(moments)
            for axis, moments in collect_moments(
                scoring.analysis, wanted, scoring.batches()
            ).items()
        },
        weigh=True,
    )


def _slack(moments: Array) -> Array:
    """What of each index the others cannot tell: 1 / [H⁻¹]_jj, shape ``[n]``."""
    diagonal: Array = np.diagonal(moments)
    damped = moments + np.diag(np.full(len(moments), DAMPING * float(diagonal.mean()) + 1e-12))
    slack: Array = 1 / np.diagonal(np.linalg.inv(damped))
    return np.maximum(slack, 0.0)
