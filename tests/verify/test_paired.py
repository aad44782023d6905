"""Counts of pairs, and the interval of their difference."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.verify.paired import Paired


def test_counts_add_up_and_give_shares() -> None:
    original = np.array([True, True, True, False, False, False])
    pruned = np.array([True, True, False, True, False, False])
    paired = Paired.of(original, pruned)
    assert paired == Paired(2, 1, 1, 2)
    assert paired + Paired(1, 2, 3, 4) == Paired(3, 3, 4, 6)
    assert (paired.total, paired.original, paired.pruned) == (6, 0.5, 0.5)
    uneven = Paired(5, 3, 1, 1)
    assert (uneven.original, uneven.pruned) == (0.8, 0.6)


def test_the_interval_by_hand() -> None:
    # 100 pairs, 10 against 4: (4 - 10) / 102 -+ 1.959964 * sqrt(15 - 36 / 102) / 102
    low, high = Paired(80, 10, 4, 6).interval()
    assert low == pytest.approx(-0.132363, abs=1e-6)
    assert high == pytest.approx(0.014716, abs=1e-6)


def test_the_interval_narrows_with_samples_and_widens_with_confidence() -> None:
    def width(paired: Paired, confidence: float = 0.95) -> float:
        low, high = paired.interval(confidence)
        return high - low

    assert width(Paired(800, 100, 40, 60)) < width(Paired(80, 10, 4, 6)) / 3
    assert width(Paired(80, 10, 4, 6), 0.99) > width(Paired(80, 10, 4, 6))


def test_the_interval_ends_at_one_and_is_never_empty() -> None:
    assert Paired(0, 3, 0, 0).interval(0.999)[0] == -1
    low, high = Paired(100, 0, 0, 0).interval()
    assert low < 0 < high


def test_it_covers_the_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    shares = (0.80, 0.08, 0.03, 0.09)
    drawn = rng.multinomial(200, shares, 2000).tolist()
    intervals = [Paired(*counts).interval() for counts in drawn]
    covered = np.mean([low <= shares[2] - shares[1] <= high for low, high in intervals])
    assert 0.93 < covered < 0.98
