"""A number beside its limit."""

from __future__ import annotations

import math

import pytest

from onnxprune.gate.checks import Better, Check, bounded, overall


@pytest.mark.parametrize(
    ("measured", "interval", "better", "verdict"),
    [
        (1.3, None, "higher", "pass"),
        (1.2, None, "higher", "pass"),
        (1.1, None, "higher", "fail"),
        (1.3, (1.25, 1.35), "higher", "pass"),
        (1.3, (1.1, 1.4), "higher", "cannot tell"),
        (1.1, (1.0, 1.19), "higher", "fail"),
        (1.1, (1.19, 1.0), "higher", "fail"),
        (1.1, None, "lower", "pass"),
        (1.3, None, "lower", "fail"),
        (1.1, (1.0, 1.3), "lower", "cannot tell"),
        (math.nan, None, "higher", "fail"),
        (math.nan, None, "lower", "fail"),
        (math.inf, None, "higher", "pass"),
    ],
)
def test_an_interval_across_a_limit_cannot_be_told(
    measured: float, interval: tuple[float, float] | None, better: Better, verdict: str
) -> None:
    assert bounded("x", measured, 1.2, better, interval=interval).verdict == verdict


def test_the_worst_counts() -> None:
    fine, doubtful, bad = Check("a", "pass"), Check("b", "cannot tell"), Check("c", "fail")
    assert overall([]) == overall([fine]) == "pass"
    assert overall([fine, doubtful]) == "cannot tell"
    assert overall([doubtful, bad, fine]) == "fail"
