"""Which weights become zero, and what becomes of the others.

- ``magnitude``: the smallest go. S. Han, J. Pool, J. Tran, W. Dally, "Learning both Weights and
  Connections for Efficient Neural Networks", NeurIPS 2015.
- ``wanda``: the smallest go, each times the norm of what it reads, output by output. M. Sun, Z.
  Liu, A. Bair, J. Z. Kolter, "A Simple and Effective Pruning Approach for Large Language Models",
  ICLR 2024.
- ``sparsegpt``: those go that the others can make up for best, by the losses of E. Frantar, D.
  Alistarh, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot", ICML 2023.
  They find them in one sweep over the rows, in which only rows that lie behind make up for them;
  here they go in rounds, and after each of them all that stays makes up for what went.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from onnxprune.passes.repair.least_squares import Array, Moments
from onnxprune.passes.sparsify.amount import Amount
from onnxprune.passes.sparsify.settling import STEPS, settled

Method = Literal["magnitude", "wanda", "sparsegpt"]
METHODS: tuple[Method, ...] = ("magnitude", "wanda", "sparsegpt")
"""Every method."""
DAMPINGS = (0.01, 0.1)
"""What is tried; samples that are not fitted to decide."""
FEW_STEPS = 5
"""Of conjugate gradients, where the zeros are not settled yet."""
ROUNDS = 5
"""In so many `sparsegpt` finds its zeros, most of them at first."""
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
        damping: added to the diagonal of the moments, as a share of its mean.
        centred: whether a bias takes over the mean.
    """
    second = second_of(moments, centred=centred)
    if method != "sparsegpt":
        gone = masked(method, weight, moments, amount)
        return settled(np.where(gone, 0.0, weight), weight, second, damping)
    losses = _losses(second, damping)
    found = weight
    for done in range(1, ROUNDS + 1):
        gone = amount.after(done / ROUNDS).mask(np.square(found) * losses)
        steps = STEPS if done == ROUNDS else FEW_STEPS
        found = settled(np.where(gone, 0.0, found), weight, second, damping, steps)
    return found


def _losses(second: Array, damping: float) -> Array:
    """What a weight of 1 in each row is worth, if the others make up for it: ``[g, k, 1]``."""
    mean: Array = np.einsum("gii->gi", second).mean(axis=1)[:, None, None]
    damped: Array = second + (damping * mean + _TINY) * np.eye(second.shape[1])
    inverse: Array = np.asarray(np.linalg.inv(damped))
    known: Array = np.asarray(np.einsum("gii->gi", inverse))
    return np.asarray(1 / np.maximum(known[:, :, None], _TINY))
