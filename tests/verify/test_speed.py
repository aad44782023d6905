"""The verdict follows from the times; no test here depends on how long anything takes."""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx.parser
import pytest
from numpy.typing import NDArray

from onnxprune.errors import RuntimeFailureError, UsageError
from onnxprune.runtime import Session
from onnxprune.verify.speed import (
    Speedup,
    Times,
    compare_latency,
    fewest_pairs,
    median_interval,
    repeats_for,
    summarise,
)

RELU = onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Relu(x) }'
).SerializeToString()
RENAMED = onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["": 17]> g (float[N] z) => (float[N] y) { y = Relu(z) }'
).SerializeToString()
X = np.ones(4, dtype=np.float32)
SHAPES = r"times come as \[P\], \[P\] and \[Q, 2\]"


def noisy(mean_ns: float, spread: float, pairs: int, seed: int) -> NDArray[np.float64]:
    """Returns log-normal times around a median."""
    return mean_ns * np.exp(np.random.default_rng(seed).normal(0, spread, pairs))


def compared(ratio: float, spread: float, noise_spread: float, pairs: int = 200) -> Speedup:
    """Returns the summary of synthetic times with a given true ratio."""
    noise = np.stack([noisy(1e6, noise_spread, pairs, 3), noisy(1e6, noise_spread, pairs, 4)], 1)
    return summarise(noisy(1e6, spread, pairs, 1), noisy(1e6 / ratio, spread, pairs, 2), noise)


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [
        (1.3, 0.05, "faster"),
        (1 / 1.3, 0.05, "slower"),
        (1.0, 0.05, "cannot tell"),
        (1.1, 2.0, "cannot tell"),
        (1 / 1.1, 2.0, "cannot tell"),
    ],
)
def test_the_verdict_follows_the_ratio_and_its_noise(
    ratio: float, spread: float, verdict: str
) -> None:
    result = compared(ratio, spread, 0.01)
    assert result.verdict == verdict
    assert result.low <= result.ratio <= result.high
    assert result.pairs == 200


@pytest.mark.parametrize("ratio", [1.3, 1 / 1.3])
def test_a_high_noise_floor_hides_a_difference(ratio: float) -> None:
    calm, wild = compared(ratio, 0.01, 0.01), compared(ratio, 0.01, 4.0)
    assert calm.verdict != "cannot tell"
    assert wild.verdict == "cannot tell"
    assert wild.noise_high - wild.noise_low > calm.noise_high - calm.noise_low
    assert (wild.low, wild.high) == (calm.low, calm.high)


def test_a_noise_floor_away_from_one_hides_a_difference() -> None:
    original, pruned = np.full(50, 1.1e6), np.full(50, 1e6)
    biased = np.stack([np.full(50, 1.2e6), np.full(50, 1e6)], 1)
    assert summarise(original, pruned, biased).verdict == "cannot tell"
    assert summarise(original, pruned, biased[:, ::-1]).verdict == "faster"


@pytest.mark.parametrize(
    ("resolution", "verdict"), [(0.0, "faster"), (0.01, "faster"), (0.05, "cannot tell")]
)
def test_a_difference_below_the_resolution_is_none(resolution: float, verdict: str) -> None:
    same = np.full((50, 2), 1e6)
    faster = summarise(np.full(50, 1.02e6), np.full(50, 1e6), same, resolution=resolution)
    slower = summarise(np.full(50, 1e6), np.full(50, 1.02e6), same, resolution=resolution)
    assert faster.verdict == verdict
    assert slower.verdict == ("slower" if verdict == "faster" else verdict)


def test_one_disturbed_pair_does_not_count() -> None:
    original, pruned, noise = np.full(99, 2e6), np.full(99, 1e6), np.full((99, 2), 2e6)
    pruned[7] = 1e9
    result = summarise(original, pruned, noise)
    assert (result.ratio, result.low, result.high, result.verdict) == (2.0, 2.0, 2.0, "faster")


@pytest.mark.parametrize(("pairs", "verdict"), [(5, "cannot tell"), (6, "faster")])
def test_too_few_pairs_cannot_tell(pairs: int, verdict: str) -> None:
    result = summarise(np.full(pairs, 2e6), np.full(pairs, 1e6), np.full((pairs, 2), 2e6))
    assert result.verdict == verdict


@pytest.mark.parametrize(("confidence", "pairs"), [(0.5, 2), (0.9, 5), (0.95, 6), (0.99, 8)])
def test_fewest_pairs(confidence: float, pairs: int) -> None:
    assert fewest_pairs(confidence) == pairs
    assert 2 * 0.5**pairs <= 1 - confidence < 2 * 0.5 ** (pairs - 1)


def test_latency_is_told_in_milliseconds() -> None:
    times = np.arange(1, 102) * 1e6
    result = summarise(times, times * 2, np.full((101, 2), 1e6), repeats=(3, 1))
    assert (result.original.p50_ms, result.original.p90_ms, result.original.p99_ms) == (51, 91, 100)
    assert (result.original.runs, result.pruned.runs) == (303, 101)
    assert result.pruned.p50_ms == 102


def test_the_same_seed_gives_the_same_interval() -> None:
    values = noisy(1.0, 0.3, 100, 0)
    first, second, other = (
        median_interval(values, np.random.default_rng(seed), 0.95) for seed in (1, 1, 2)
    )
    assert first == second != other


def test_a_higher_confidence_widens_the_interval() -> None:
    values = noisy(1.0, 0.3, 100, 0)
    narrow = median_interval(values, np.random.default_rng(0), 0.5)
    wide = median_interval(values, np.random.default_rng(0), 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_interval_covers_the_median_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        low, high = median_interval(noisy(1.0, 0.3, 40, seed), np.random.default_rng(seed), 0.9)
        covered += low <= 1.0 <= high
    assert 165 <= covered <= 195


@pytest.mark.parametrize(
    ("original", "pruned", "noise", "message"),
    [
        (np.ones(3), np.ones(2), np.ones((3, 2)), SHAPES),
        (np.ones((3, 1)), np.ones((3, 1)), np.ones((3, 2)), SHAPES),
        (np.ones(3), np.ones(3), np.ones(3), SHAPES),
        (np.ones(3), np.ones(3), np.ones((3, 3)), SHAPES),
        (np.ones(0), np.ones(0), np.ones((3, 2)), "at least one pair"),
        (np.ones(3), np.ones(3), np.ones((0, 2)), "at least one pair"),
        (np.zeros(3), np.ones(3), np.ones((3, 2)), "times above 0"),
        (np.ones(3), np.full(3, np.nan), np.ones((3, 2)), "times above 0"),
    ],
)
def test_times_that_make_no_sense_are_refused(
    original: Times, pruned: Times, noise: Times, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        summarise(original, pruned, noise)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"confidence": 0.0}, "a confidence lies between 0 and 1"),
        ({"confidence": 1.0}, "a confidence lies between 0 and 1"),
        ({"resolution": -0.1}, "a resolution is 0 or more"),
        ({"resolution": float("nan")}, "a resolution is 0 or more"),
        ({"budget_s": -1.0}, "a budget of 0 s or more"),
        ({"min_pairs": 0}, "1 <= min_pairs"),
        ({"min_pairs": 5, "max_pairs": 4}, "min_pairs <= max_pairs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    session = Session(RELU)
    with pytest.raises(UsageError, match=message):
        compare_latency(session, session, {"x": X}, **settings)


@pytest.mark.parametrize(
    ("run_ns", "repeats"), [(0, 1000), (1_000, 200), (150_000, 2), (200_000, 1), (1e9, 1)]
)
def test_fast_runs_are_timed_together(run_ns: float, repeats: int) -> None:
    assert repeats_for(run_ns) == repeats


@pytest.mark.parametrize(("limits", "pairs"), [((1, 1), 2), ((6, 6), 6), ((7, 9), 8)])
def test_two_sessions_are_compared(limits: tuple[int, int], pairs: int) -> None:
    result = compare_latency(
        Session(RELU),
        Session(RENAMED),
        {"x": X},
        {"z": X},
        budget_s=0.0,
        min_pairs=limits[0],
        max_pairs=limits[1],
    )
    assert result.pairs == pairs
    assert 0 < result.low <= result.ratio <= result.high
    assert 0 < result.noise_low <= result.noise_high
    assert 0 < result.pruned.p50_ms <= result.pruned.p90_ms <= result.pruned.p99_ms
    assert result.original.runs >= pairs


def test_the_number_of_pairs_has_a_ceiling() -> None:
    session = Session(RELU)
    result = compare_latency(session, session, {"x": X}, budget_s=60.0, min_pairs=1, max_pairs=10)
    assert result.pairs == 10


@pytest.mark.parametrize("switch", [gc.enable, gc.disable])
def test_the_garbage_collector_is_left_as_it_was(switch: Callable[[], None]) -> None:
    before = gc.isenabled()
    try:
        switch()
        state = gc.isenabled()
        session = Session(RELU)
        compare_latency(session, session, {"x": X}, budget_s=0.0, min_pairs=1)
        assert gc.isenabled() == state
    finally:
        (gc.enable if before else gc.disable)()


def test_a_run_that_fails_says_why() -> None:
    with pytest.raises(RuntimeFailureError, match="cannot run the model"):
        compare_latency(Session(RELU), Session(RENAMED), {"x": X}, budget_s=0.0)
