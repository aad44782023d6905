"""The order of rows in which a pattern keeps most."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from onnxprune.passes.sparsify.ordering import better_order, kept_share
from onnxprune.passes.sparsify.pattern import Pattern


def _kept(table: np.ndarray, stay: int, of: int) -> float:
    total = 0.0
    for start in range(0, len(table), of):
        for column in range(table.shape[1]):
            total += sum(sorted(table[start : start + of, column])[-stay:])
    return total / float(table.sum())


@pytest.mark.parametrize(("stay", "of"), [(1, 2), (2, 4), (4, 8), (1, 4)])
def test_the_share_is_that_of_the_largest(stay: int, of: int) -> None:
    table = np.abs(np.random.default_rng(1).standard_normal((8, 5)))
    assert kept_share(table, Pattern(stay, of)) == pytest.approx(_kept(table, stay, of))


def test_what_crowds_in_one_group_is_spread() -> None:
    table = np.zeros((8, 3))
    table[:4] = 1.0
    order = better_order(table, Pattern(2, 4))
    assert sorted(order) == list(range(8))
    assert kept_share(table, Pattern(2, 4)) == 0.5
    assert kept_share(table[order], Pattern(2, 4)) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_few_rows_come_near_to_the_best_order(seed: int) -> None:
    table = np.abs(np.random.default_rng(seed).standard_normal((6, 4)))
    pattern = Pattern(1, 2)
    best = max(kept_share(table[list(order)], pattern) for order in permutations(range(6)))
    start, found = (kept_share(t, pattern) for t in (table, table[better_order(table, pattern)]))
    assert found >= start
    assert best - found <= 0.02


def test_many_rows_are_never_worse_and_always_the_same() -> None:
    table = np.abs(np.random.default_rng(3).standard_normal((512, 700)))
    pattern = Pattern(2, 4)
    order = better_order(table, pattern)
    assert sorted(order) == list(range(512))
    assert kept_share(table[order], pattern) > kept_share(table, pattern)
    assert (order == better_order(table, pattern)).all()
