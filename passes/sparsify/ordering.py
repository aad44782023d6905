"""The order of rows in which an N:M pattern keeps most of a table."""

from __future__ import annotations

import numpy as np

from onnxprune.passes.repair.least_squares import Array
from onnxprune.passes.sparsify.pattern import Pattern

COLUMNS = 256
"""So many columns of a table are looked at while orders are compared."""
PAIRS = 1500
"""So many pairs of groups are tried for exchanges."""


def kept_share(table: Array, pattern: Pattern) -> float:
    """The share of a table's magnitude that a pattern keeps, groups along the first axis.

    Args:
        table: ``[v, r]``, not negative.
        pattern: the pattern; v is a multiple of its M.
    """
    groups = table.reshape(-1, pattern.of, table.shape[1])
    return float(_kept(groups, pattern.stay).sum() / max(float(table.sum()), 1e-30))


def better_order(table: Array, pattern: Pattern, seed: int = 0) -> Array:
    """An order of rows that keeps more than the one that there is, or that one.

    Rows are dealt out by their size, or stay as they are, whichever keeps more; then pairs of
    groups exchange two rows wherever that helps.

    Args:
        table: ``[v, r]``, not negative.
        pattern: the pattern; v is a multiple of its M.
        seed: of the choice of columns and pairs.

    Returns:
        The old index of each new one, shape ``[v]``.
    """
    rng = np.random.default_rng(seed)
    if table.shape[1] > COLUMNS:
        table = table[:, rng.choice(table.shape[1], COLUMNS, replace=False)]
    count = len(table) // pattern.of
    dealt = np.argsort(-table.sum(axis=1), kind="stable").reshape(pattern.of, count).T.reshape(-1)
    starts = (np.arange(len(table)), dealt)
    order = max(starts, key=lambda start: kept_share(table[start], pattern))
    groups = order.reshape(count, pattern.of).copy()
    for one, other in _pairs(count, rng):
        _exchange(table, groups, one, other, pattern.stay)
    return groups.reshape(-1)


def _pairs(count: int, rng: np.random.Generator) -> Array:
    """Pairs of groups to try: all in turn, or some by chance where there are too many."""
    first, second = np.triu_indices(count, 1)
    pairs = np.stack([first, second], axis=1)
    if len(pairs) > PAIRS:
        return pairs[rng.choice(len(pairs), PAIRS, replace=False)]
    rounds = min(PAIRS // max(len(pairs), 1), 3)
    return np.tile(pairs, (rounds, 1))


def _exchange(table: Array, groups: Array, one: int, other: int, stay: int) -> None:
    """Exchange the two rows of two groups that this gains most with, if any."""
    size = groups.shape[1]
    mine, theirs = table[groups[one]], table[groups[other]]
    a, b = (index.reshape(-1) for index in np.meshgrid(range(size), range(size), indexing="ij"))
    trial = np.arange(int(size * size))
    left = np.repeat(mine[None], size * size, axis=0)
    right = np.repeat(theirs[None], size * size, axis=0)
    left[trial, a], right[trial, b] = theirs[b], mine[a]
    now = _kept(np.stack([mine, theirs]), stay).sum()
    gains = _kept(left, stay).sum(axis=1) + _kept(right, stay).sum(axis=1) - now
    best = int(gains.argmax())
    if gains[best] > 1e-6 * max(float(now), 1e-30):
        i, j = a[best], b[best]
        groups[one, i], groups[other, j] = groups[other, j], groups[one, i]


def _kept(groups: Array, stay: int) -> Array:
    """What is kept in each column of each group: ``[g, M, r]`` to ``[g, r]``."""
    size = groups.shape[1]
    return np.asarray(np.partition(groups, size - stay, axis=1)[:, size - stay :].sum(axis=1))
