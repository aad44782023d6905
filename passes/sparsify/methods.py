"""Which weights become zero, and what becomes of the others.

- ``magnitude``: the smallest go. S. Han, J. Pool, J. Tran, W. Dally, "Learning both Weights and
  Connections for Efficient Neural Networks", NeurIPS 2015.
- ``wanda``: the smallest go, each times the norm of what it reads, output by output. M. Sun, Z.
  Liu, A. Bair, J. Z. Kolter, "A Simple and Effective Pruning Approach for Large Language Models",
  ICLR 2024.
- ``sparsegpt``: those go that the others can make up for best; see `passes.sparsify.sweep`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from onnxprune.passes.repair.least_squares import Array, Moments
from onnxprune.passes.sparsify.amount import Amount, smallest
from onnxprune.passes.sparsify.sweep import ROWS, Choice, Curvature, swept

Method = Literal["magnitude", "wanda", "sparsegpt"]
METHODS: tuple[Method, ...] = ("magnitude", "wanda", "sparsegpt")
"""Every method."""
DAMPINGS = (0.01, 0.1)
"""What is tried; samples that are not fitted to decide."""
_TINY = 1e-30
_ROUNDING = 1e-5
"""Moments are summed up in single precision: so much of them is noise."""


def smallest_by_output(scores: Array, count: int) -> Array:
    """The same, as many of each output as of every other: scores are ``[g, k, m]``."""
    groups, _, width = scores.shape
    each, more = divmod(count, groups * width)
    ranks = scores.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    wanted = each + np.asarray(np.arange(int(groups * width)) < more)
    return np.asarray(ranks < wanted.reshape(groups, 1, width))


def read_norms(moments: Moments) -> Array:
    """Root mean square of what each row of a matrix is multiplied with: ``[g, k, 1]``."""
    squares = np.einsum("gii->gi", moments.xx)[:, :-1, None] / max(moments.rows, 1)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def relative_scores(weight: Array, moments: Moments) -> Array:
    """What each weight gives, as a share of the layer's outputs: comparable between layers.

    Losses that allow for others to adapt are not: where most go, these are gone as well.

    Args:
        weight: ``[g, k, m]``.
        moments: of what the layer reads and gives.

    Returns:
        Float32, shaped like the weight.
    """
    power = float(moments.yy.sum()) / max(moments.rows, 1)
    scores = np.abs(weight) * read_norms(moments) / np.sqrt(max(power, _TINY))
    return np.asarray(scores, np.float32)


def second_of(moments: Moments, *, centred: bool) -> Array:
    """Mean second moments of what is read, ``[g, k, k]``; around its mean where a bias is free."""
    rows = max(moments.rows, 1)
    second = moments.xx[:, :-1, :-1] / rows
    if centred:
        mean = moments.xx[:, -1, :-1] / rows
        noise = _ROUNDING * np.einsum("gii->gi", second)[:, :, None] * np.eye(second.shape[1])
        second = second - (1 - _ROUNDING) * mean[:, :, None] * mean[:, None, :] + noise
    return np.asarray(second)


def masked(method: Method, weight: Array, moments: Moments, amount: Amount) -> Array:
    """Where zeros go by magnitude or by `wanda`."""
    scores = np.abs(weight)
    if method == "magnitude":
        return amount.mask(scores)
    scores = scores * read_norms(moments)
    if amount.pattern is None:
        return smallest_by_output(scores, amount.zeros)
    return amount.mask(scores)


def adapted(
    method: Method, weight: Array, moments: Moments, amount: Amount, damping: float, centred: bool
) -> Array:
    """A matrix with zeros, and the rest adapted to what is read.

    Args:
        method: what chooses the zeros.
        weight: ``[g, k, m]``.
        moments: of what is read.
        amount: how many.
        damping: see `Curvature.of`.
        centred: whether a bias takes over the mean.
    """
    second = second_of(moments, centred=centred)
    order: Array = np.arange(int(weight.shape[1]))
    if amount.pattern is not None:
        order = amount.pattern.order(amount.channels, len(order))
    curvature = Curvature.of(second[:, order][:, :, order], damping)
    turned = weight[:, order]
    if method != "sparsegpt":
        gone = masked(method, weight, moments, amount)[:, order]
        result = swept(turned, curvature, lambda at, x: gone[:, at : at + x.shape[1]], ROWS)
    elif amount.pattern is not None:
        pattern = amount.pattern
        result = swept(turned, curvature, lambda _, x: pattern.smallest(x), pattern.of)
    else:
        result = swept(turned, curvature, _as_ranked(turned, curvature, amount), ROWS)
    restored = np.empty_like(result)
    restored[:, order] = result
    return restored


def _as_ranked(weight: Array, curvature: Curvature, amount: Amount) -> Choice:
    """Zeros in each stretch: as many as all weights ranked together have there, chosen anew."""
    first = amount.mask(curvature.losses(weight))

    def choice(at: int, losses: Array) -> Array:
        return smallest(losses, int(first[:, at : at + losses.shape[1]].sum()))

    return choice
