"""N:M patterns: how they are written, and which weights are in a row."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.errors import UsageError
from onnxprune.passes.sparsify.pattern import Pattern


@pytest.mark.parametrize(("text", "stay", "of"), [("2:4", 2, 4), (" 1:16 ", 1, 16), ("7:8", 7, 8)])
def test_patterns_are_read(text: str, stay: int, of: int) -> None:
    assert Pattern.parse(text) == Pattern(stay, of)
    assert str(Pattern.parse(text)) == text.strip()


@pytest.mark.parametrize(
    "text", ["2:0", "5:4", "4:4", "0:4", "2", "2:", ":4", "2/4", "-1:4", "2:4:8", "a:b", "2.:4", ""]
)
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(UsageError, match="is no pattern") as caught:
        Pattern.parse(text)
    assert "N:M with 0 < N < M, such as 2:4" in caught.value.hint


def test_channels_of_one_tap_are_in_a_row() -> None:
    """Four channels of three taps: the first row is the first tap of all four."""
    order = Pattern(1, 2).order(4, 12)
    assert order.tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    assert Pattern(2, 4).order(8, 8).tolist() == [*range(8)]
    assert sorted(Pattern(2, 4).order(8, 72)) == [*range(72)]


@pytest.mark.parametrize("pattern", [Pattern(1, 2), Pattern(2, 4), Pattern(1, 4), Pattern(5, 8)])
def test_the_least_of_each_row_go(pattern: Pattern) -> None:
    scores = np.random.default_rng(1).random((2, 16, 3))
    gone = pattern.smallest(scores)
    for group in range(2):
        for output in range(3):
            for start in range(0, 16, pattern.of):
                row = scores[group, start : start + pattern.of, output]
                mask = gone[group, start : start + pattern.of, output]
                assert mask.sum() == pattern.of - pattern.stay
                assert row[mask].max() < row[~mask].min()


def test_of_equals_the_first_go() -> None:
    gone = Pattern(2, 4).smallest(np.ones((1, 8, 1)))
    assert np.flatnonzero(gone).tolist() == [0, 1, 4, 5]
