"""From measures of weights to scores that can be compared.

Reductions and normalisations are those of G. Fang et al., "DepGraph: Towards Any Structural
Pruning", CVPR 2023; LAMP is of J. Lee et al., "Layer-adaptive Sparsity for the Magnitude-based
Pruning", ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_LEAST = 1e-30


def by_mean(scores: Array) -> Array:
    """Divided by the mean, so that the mean is 1."""
    mean = scores.mean()
    return scores / mean if mean > 0 else scores


def _by_max(scores: Array) -> Array:
    most = scores.max()
    return scores / most if most > 0 else scores


def _standard(scores: Array) -> Array:
    deviation = scores.std()
    return (scores - scores.mean()) / deviation if deviation > 0 else scores * 0


def _lamp(scores: Array) -> Array:
    """Squares, divided by the sum of those squares that are at least as large."""
    squares = np.square(scores)
    flat = squares.reshape(-1)
    order = np.argsort(-flat, kind="stable")
    result = np.empty_like(flat)
    result[order] = flat[order] / np.maximum(np.cumsum(flat[order]), _LEAST)
    return result.reshape(scores.shape)


def _product(parts: Array) -> Array:
    """The geometric mean: a channel that one weight makes nothing of is worth nothing."""
    result: Array = np.exp(np.log(np.maximum(parts, _LEAST)).mean(axis=0))
    return result


REDUCTIONS: dict[str, Callable[[Array], Array]] = {
    "mean": lambda parts: parts.mean(axis=0),
    "sum": lambda parts: parts.sum(axis=0),
    "max": lambda parts: parts.max(axis=0),
    "product": _product,
}
"""How the measures of a group's weights become one: from ``[w, v]`` to ``[v]``."""

NORMALIZATIONS: dict[str, Callable[[Array], Array]] = {
    "mean": by_mean,
    "max": _by_max,
    "standard": _standard,
    "lamp": _lamp,
    "none": lambda scores: scores,
}
"""What makes the scores of groups comparable."""
