"""Zeros one row of a matrix after the other, while the rows behind make up for it.

A layer ``y = x W`` that loses weights and may adapt the others loses least if these move along the
inverse of the second moments of x. Taken row by row, with one factorisation for all columns of W:
E. Frantar, D. Alistarh, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot",
ICML 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import numpy as np

from onnxprune.passes.repair.least_squares import Array

ROWS = 128
"""Rows that are gone through before those behind them hear of it."""
_TINY = 1e-12
_MORE = (1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)
"""How much more damping is tried; with all of it rows know nothing of each other."""

Choice = Callable[[int, Array], Array]
"""From the first row of a stretch and the losses ``[g, r, m]`` of its weights to where zeros go."""


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """What other rows know of each row.

    Attributes:
        upper: U with ``U' U`` the inverse of the damped second moments, ``[g, k, k]``.
        inverse: the diagonal of that inverse, ``[g, k]``.
    """

    upper: Array
    inverse: Array

    @classmethod
    def of(cls, second: Array, damping: float) -> Self:
        """Factorise second moments; what rounding made indefinite is damped more.

        Args:
            second: ``[g, k, k]``.
            damping: added to the diagonal, as a share of its mean.
        """
        sizes = np.asarray(np.abs(np.einsum("gii->gi", second)))
        mean = sizes.mean(axis=1)[:, None, None]
        unit = np.eye(second.shape[1])
        for more in _MORE:
            with suppress(np.linalg.LinAlgError):
                damped: Array = second + (damping * more * mean + _TINY) * unit
                inverse = np.asarray(np.linalg.inv(damped), np.float64)
                symmetric = (inverse + inverse.swapaxes(1, 2)) / 2
                lower: Array = np.linalg.cholesky(symmetric)
                if np.isfinite(lower).all():
                    return cls(lower.swapaxes(1, 2), np.einsum("gii->gi", symmetric))
        none = np.broadcast_to(unit, second.shape)
        return cls(none, np.ones(second.shape[:2]))

    def losses(self, weight: Array) -> Array:
        """What the outputs lose with each weight if the others make the best of it.

        Args:
            weight: ``[g, k, m]``.
        """
        return np.asarray(np.square(weight) / self.inverse[:, :, None])


def swept(weight: Array, curvature: Curvature, choice: Choice, stretch: int) -> Array:
    """A matrix with zeros where they are chosen, and the rest adapted.

    Args:
        weight: ``[g, k, m]``.
        curvature: of what is read.
        choice: says where zeros go, one stretch of rows after the other.
        stretch: number of rows that it is asked about at once.
    """
    result: Array = weight.astype(np.float64)
    upper = curvature.upper
    gone: Array = np.zeros(weight.shape, np.bool_)
    reads = weight.shape[1]
    block = max(ROWS // stretch, 1) * stretch
    for start in range(0, reads, block):
        end = min(start + block, reads)
        part = result[:, start:end]
        errors = np.zeros_like(part)
        for row in range(end - start):
            place = start + row
            if row % stretch == 0:
                last = min(row + stretch, end - start)
                scale = np.einsum("gii->gi", upper)[:, place : start + last, None]
                gone = choice(place, np.square(part[:, row:last] / scale))
            lost = np.where(gone[:, row % stretch], part[:, row], 0.0)
            errors[:, row] = lost / upper[:, place, place, None]
            part[:, row] -= lost
            part[:, row + 1 :] -= upper[:, place, place + 1 : end, None] * errors[:, row, None]
        result[:, end:] -= upper[:, start:end, end:].swapaxes(1, 2) @ errors
    return result
