"""Geometric median: channels near the middle of all can be made up for by the others.

Source: Y. He, P. Liu, Z. Wang, Z. Hu, Y. Yang, "Filter Pruning via Geometric Median for Deep
Convolutional Neural Networks Acceleration", CVPR 2019 (FPGM).
"""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Group
from onnxprune.passes.score.scoring import Scores, Scoring, Table


def fpgm(scoring: Scoring) -> dict[Group, Scores]:
    """Sum of the distances to all other channels."""
    return scoring.measured(_distances)


def _distances(table: Table) -> Scores:
    """``[..., v, k]`` to ``[..., v]``: ‖a - b‖² = ‖a‖² + ‖b‖² - 2 a·b, summed after the root."""
    products = table @ table.swapaxes(-1, -2)
    squares = np.einsum("...vv->...v", products)
    between = squares[..., :, None] + squares[..., None, :] - 2 * products
    total: Scores = np.sqrt(np.maximum(between, 0)).sum(axis=-1, dtype=np.float64)
    return total
