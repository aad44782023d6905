"""Random scores: what every other criterion has to beat."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Group
from onnxprune.passes.score.scoring import Scores, Scoring


def random(scoring: Scoring) -> dict[Group, Scores]:
    """Uniform random numbers, the same for the same seed."""
    rng = np.random.default_rng(scoring.seed)
    shapes = {g: (g.size,) if g.over is None else (g.over.size, g.size) for g in scoring.groups}
    return scoring.combined({group: [rng.random(shape)] for group, shape in shapes.items()})
