"""What stays of a matrix, at the best that it can be for the zeros that there are.

Where the zeros are is settled; what is best then is a least squares problem of each column: V.
Boža, "Fast and Effective Weight Update for Pruned Large Language Models", TMLR 2024. All columns
are solved at once by conjugate gradients: M. R. Hestenes, E. Stiefel, "Methods of Conjugate
Gradients for Solving Linear Systems", J. Res. NBS 1952.
"""

from __future__ import annotations

import numpy as np

from onnxprune.passes.repair.least_squares import Array

STEPS = 15
"""More change little."""
_TINY = 1e-30


def settled(
    found: Array, wanted: Array, second: Array, damping: float, steps: int = STEPS
) -> Array:
    """The same zeros, and the rest where ``(W - D)' A (W - D)`` is least.

    In single precision, which is enough for damped moments of a mean of 1.

    Args:
        found: W to begin with, ``[g, k, m]``; its zeros stay.
        wanted: D, without zeros, of the same shape.
        second: second moments of what is read, ``[g, k, k]``; A once they are damped.
        damping: added to the diagonal, as a share of its mean.
        steps: of conjugate gradients.
    """
    mean = np.einsum("gii->gi", second).mean(axis=1)[:, None, None]
    scaled = (second / np.maximum(mean, _TINY)).astype(np.float32)
    diagonal = np.einsum("gii->gi", scaled)[:, :, None] + np.float32(damping)
    there = found != 0

    def pulled(at: Array) -> Array:
        return np.where(there, scaled @ at + np.float32(damping) * at, np.float32(0))

    result = found.astype(np.float32)
    left = pulled((wanted - found).astype(np.float32))
    way = left / diagonal
    size = (left * way).sum(axis=1, keepdims=True)
    for _ in range(steps):
        answer = pulled(way)
        curved = (way * answer).sum(axis=1, keepdims=True)
        least = damping / 2 * np.square(way).sum(axis=1, keepdims=True)  # but for rounding
        length = np.where(curved < least, 0, size / np.maximum(curved, _TINY)).astype(np.float32)
        result += length * way
        left -= length * answer
        before, size = size, (left * left / diagonal).sum(axis=1, keepdims=True)
        way = left / diagonal + size / np.maximum(before, _TINY) * way
    return np.where(there, result, 0).astype(np.float64)
