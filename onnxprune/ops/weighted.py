"""What weighed sums make of what is known of their summands: bounds, and which are multiples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_TOLERANCE = 2e-6
"""By what share of the largest number rows may differ that are taken to be proportional."""
_NEAR = 8
"""Of rows in order, so many before each are looked at."""
_PROBES = 4
"""How many random sums tell rows apart."""


def bounds_of_sums(matrix: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The least and the most that sums can be.

    Args:
        matrix: weights, ``[g, k, m]``.
        low: no smaller number is read, ``[g, k]``.
        high: no larger one.

    Returns:
        Both ends, ``[(g m)]`` each.
    """
    up, down = np.maximum(matrix, 0), np.minimum(matrix, 0)

    def total(rising: Array, falling: Array) -> Array:
        finite = [np.where(np.isfinite(part), part, 0.0) for part in (rising, falling)]
        endless = [~np.isfinite(part) for part in (rising, falling)]
        sums = np.einsum("gkm,gk->gm", up, finite[0]) + np.einsum("gkm,gk->gm", down, finite[1])
        open_ended = np.einsum("gkm,gk->gm", up > 0, endless[0]) | np.einsum(
            "gkm,gk->gm", down < 0, endless[1]
        )
        return np.where(open_ended, np.nan, sums).reshape(-1)

    return settled(total(low, high), -np.inf), settled(total(high, low), np.inf)


def settled(bounds: Array, instead: float) -> Array:
    """Bounds, with what is to be taken where nobody can tell."""
    return np.where(np.isnan(bounds), instead, bounds)


def multiples(matrix: Array, numbers: Array, channels: int, bias: Array) -> tuple[Array, Array]:
    """Which sums are multiples of others: those that weigh the same summands alike.

    Args:
        matrix: weights, ``[g, k, m]``.
        numbers: which summands are the same, ``[g, k]``; see `Channels`.
        channels: how many channels are read in all.
        bias: what is added to each sum, ``[(g m)]``.

    Returns:
        For each sum the first one that it is a multiple of, and the factor.
    """
    seen = np.einsum("gkm,gkp->gmp", matrix, _probes(numbers, channels))
    return _proportional(np.concatenate([seen.reshape(-1, _PROBES), bias[:, None]], axis=1))


def _probes(numbers: Array, channels: int) -> Array:
    """Random numbers for what a layer reads, ``[g, k, p]``: the same for the same at one tap.

    Sums of them, weighed by the rows of a matrix, tell whether rows weigh the same things alike.
    """
    groups, reads = (int(size) for size in numbers.shape)
    tap = np.arange(reads) % (reads * groups // channels)
    keys = np.asarray((numbers * 1_000_003 + tap)[:, :, None] * _PROBES + np.arange(_PROBES))
    mixed: npt.NDArray[np.uint64] = keys.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    drawn: Array = (mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2.0**64 - 0.5
    return drawn


def _proportional(rows: Array) -> tuple[Array, Array]:
    """For each row the first one that it is a multiple of, and the factor."""
    count = len(rows)
    pivot = np.abs(rows).argmax(axis=1)
    scale = rows[np.arange(count), pivot]
    known = scale != 0
    shapes = rows / np.where(known, scale, 1.0)[:, None]
    order = np.lexsort(np.round(shapes, 4).T)
    first, factor = np.arange(count), np.ones(count)
    for place, row in enumerate(order):
        for other in order[max(place - _NEAR, 0) : place][::-1]:
            base = first[other]
            near = np.abs(shapes[row] - shapes[base]).max() <= _TOLERANCE
            if known[row] and known[base] and near and pivot[row] == pivot[base]:
                first[row], factor[row] = base, scale[row] / scale[base]
                break
    return first, factor
