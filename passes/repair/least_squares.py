"""Least squares from second moments, in many small problems at once.

For rows x and y of g groups, find W and b that make ``|y - x W - b|²`` small and stay near the
weights that there are: ridge regression of what these leave over. A. E. Hoerl, R. W. Kennard,
"Ridge Regression", Technometrics 1970; for pruned layers, Y. He, X. Zhang, J. Sun, "Channel Pruning
for Accelerating Very Deep Neural Networks", ICCV 2017. How near is decided by rows that are not
fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Weights of nearness that are tried, as shares of the mean square of what is read."""
HELD_OUT = 4
"""Of so many samples one is not fitted to."""
_TINY = 1e-12


@dataclass(slots=True)
class Moments:
    """Sums over rows of x, with a 1 behind each, and of y: ``[g, k + 1]`` and ``[g, m]``.

    Attributes:
        xx: ``[g, k + 1, k + 1]``.
        xy: ``[g, k + 1, m]``.
        yy: squares of y, ``[g, m]``.
        rows: number of rows.
    """

    xx: Array = field(default_factory=lambda: np.zeros(()))
    xy: Array = field(default_factory=lambda: np.zeros(()))
    yy: Array = field(default_factory=lambda: np.zeros(()))
    rows: int = 0

    def add(self, x: Array, y: Array) -> None:
        """Take rows: ``[g, r, k]`` and ``[g, r, m]``."""
        if not x.shape[1]:
            return
        with_one = np.concatenate([x, np.ones((*x.shape[:2], 1), x.dtype)], axis=2)
        across = with_one.swapaxes(1, 2)
        self.xx = self.xx + (across @ with_one).astype(np.float64)
        self.xy = self.xy + (across @ y).astype(np.float64)
        self.yy = self.yy + np.square(y, dtype=np.float64).sum(axis=1)
        self.rows += x.shape[1]

    def __add__(self, other: Moments) -> Moments:
        """Of the rows of both."""
        return Moments(
            self.xx + other.xx, self.xy + other.xy, self.yy + other.yy, self.rows + other.rows
        )

    def error(self, fit: Array) -> float:
        """Sum of the squares that ``x fit`` leaves over, with fit ``[g, k + 1, m]``."""
        explained = 2 * (fit * self.xy).sum() - (fit * (self.xx @ fit)).sum()
        return float(max(self.yy.sum() - explained, 0.0))

    def shift(self, weight: Array) -> Array:
        """The best bias for a weight ``[g, k, m]``: ``[g, 1, m]``."""
        bias: Array = (self.xy[:, -1:] - self.xx[:, -1:, :-1] @ weight) / max(self.rows, 1)
        return bias


@dataclass(frozen=True, slots=True)
class Fit:
    """What came of fitting a layer.

    Attributes:
        weight: ``[g, k, m]``.
        bias: ``[g, 1, m]``; zeros where the layer has none.
        before: share of the squares of y that the old weights leave over, on rows held out.
        after: the same for the new ones.
    """

    weight: Array
    bias: Array
    before: float
    after: float


def fitted(
    seen: Moments, held: Moments, weight: Array, bias: Array | None, *, shifted: bool = False
) -> Fit:
    """Fit a layer; where that does not help on what was held out, it stays as it is.

    Args:
        seen: moments to fit to.
        held: moments to judge by.
        weight: the weights that there are, ``[g, k, m]``.
        bias: the bias that there is, ``[g, 1, m]``; None for a layer that has none.
        shifted: whether such a layer is fitted as if it had one, since its readers shift.
    """
    everything = seen + held
    free = bias is not None or shifted
    if bias is None:
        shift = everything.shift(weight)
        bias = shift if shifted else np.zeros_like(shift)
    start = np.concatenate([weight, bias], axis=1)
    judge = held if held.rows else seen
    errors = {0.0: judge.error(start)}
    for ridge in RIDGES:
        errors[ridge] = judge.error(_ridge(seen, start, ridge, free))
    best = min(errors, key=lambda ridge: errors[ridge])
    fit = _ridge(everything, start, best, free) if best else start
    whole = max(float(judge.yy.sum()), _TINY)
    return Fit(fit[:, :-1], fit[:, -1:], errors[0.0] / whole, errors[best] / whole)


def _ridge(moments: Moments, start: Array, ridge: float, free: bool) -> Array:
    """``start`` and what fits the rest best, kept small; the bias costs nothing if it is free."""
    groups, size, _ = moments.xx.shape
    used = size if free else size - 1
    left = (moments.xy - moments.xx @ start)[:, :used]
    squares = np.einsum("gii->gi", moments.xx)[:, :-1].mean(axis=1, keepdims=True)
    penalty = np.full((groups, used), _TINY * max(moments.rows, 1))
    penalty[:, : size - 1] += ridge * squares
    damped = moments.xx[:, :used, :used] + penalty[:, :, None] * np.eye(used)
    found: Array = start.copy()
    found[:, :used] += np.linalg.solve(damped, left)
    return found
