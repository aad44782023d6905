"""Is the pruned model faster? A paired measurement that knows its own noise.

Two models timed one after the other, in blocks, differ by tens of per cent for no reason: clocks,
caches and neighbours change between the blocks. So three sessions take turns in one process: the
original, the pruned model, and a twin of the original. In each round each of them is timed once;
two successive rounds have opposite orders, which cancels drift, and the rounds go through all six
orders, so that none of the three has a better place than another. The twin is treated in every
respect like the pruned model, so original time / twin time shows how large a ratio appears where
there is no difference. (A noise floor taken from one and the same session is too low: with it, a
model measured against itself came out "slower" most of the time.)

Let [low, high] be the interval for the median, over rounds, of original time / pruned time, and
[noise_low, noise_high] the one of original time / twin time. The pruned model is *faster* if
low > max(1 + resolution, noise_high), *slower* if high < min(1 / (1 + resolution), noise_low),
and otherwise the measurement *cannot tell*. The resolution is there because where the allocator
happens to put a session's weights alone makes some tenths of a per cent, in any number of rounds.

The intervals are percentile bootstrap intervals of the median: B. Efron, R. J. Tibshirani, An
Introduction to the Bootstrap, Chapman & Hall, 1993, chapter 13.
"""

import gc
import logging
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from onnxprune.errors import UsageError
from onnxprune.progress import tell
from onnxprune.runtime import Session, TimedRun

_LOG = logging.getLogger(__name__)

Verdict = Literal["faster", "slower", "cannot tell"]
"""What a comparison says about the pruned model."""

Times = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]
"""Times in nanoseconds."""

_RESAMPLES: Final = 2000
_SAMPLE_NS: Final = 200_000  # Below this, the clock and the call itself weigh too much.
_MAX_REPEATS: Final = 1000
_RESOLUTION: Final = 0.01
# Places of the original (0), the pruned model (1) and the twin (2); opposite orders side by side.
_ORDERS: Final = ((0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1), (2, 0, 1), (1, 0, 2))
_WINDOW: Final = 5
_STEADY: Final = 0.03
_WARM_UP_SHARE: Final = 0.1
_TIMING: Final = "timing both by turns, per cent"


@dataclass(frozen=True, slots=True)
class Latency:
    """How long runs of one model took.

    Runs of very fast models are timed several at a time, and each counts with their mean.

    Attributes:
        p50_ms: Median, in milliseconds.
        p90_ms: 90th percentile, in milliseconds.
        p99_ms: 99th percentile, in milliseconds.
        runs: Number of runs.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    runs: int


@dataclass(frozen=True, slots=True)
class Speedup:
    """A comparison of two models' latencies.

    Attributes:
        ratio: Median of original time / pruned time over the pairs; above 1 the pruned model is
            faster.
        low: Lower end of the ratio's confidence interval.
        high: Upper end of the ratio's confidence interval.
        noise_low: Lower end of the interval for the original against its twin.
        noise_high: Upper end of the interval for the original against its twin.
        verdict: What follows.
        original: Latency of the original.
        pruned: Latency of the pruned model.
        pairs: Number of pairs.
        ratios: Original time / pruned time of each pair, as measured.
    """

    ratio: float
    low: float
    high: float
    noise_low: float
    noise_high: float
    verdict: Verdict
    original: Latency
    pruned: Latency
    pairs: int
    ratios: tuple[float, ...] = field(default=(), repr=False)

    @property
    def bounds(self) -> tuple[float, float]:
        """Where the true ratio lies: the interval, wider by what no difference at all shows."""
        least = 1 + _RESOLUTION
        return self.low / max(self.noise_high, least), self.high / min(self.noise_low, 1 / least)

    @property
    def spread(self) -> float:
        """By what factor two measurements of one model may differ; above 1."""
        return max(self.noise_high, 1 / self.noise_low, 1 + _RESOLUTION)


def compare_latency(
    original: Session,
    pruned: Session,
    feeds: Mapping[str, NDArray[Any]],
    pruned_feeds: Mapping[str, NDArray[Any]] | None = None,
    *,
    budget_s: float = 3.0,
    min_pairs: int = 20,
    max_pairs: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    resolution: float = _RESOLUTION,
) -> Speedup:
    """Times two models against each other; the original is loaded once more for the noise floor.

    Args:
        original: The model before.
        pruned: The model after.
        feeds: A tensor for each input of the original.
        pruned_feeds: A tensor for each input of the pruned model; the same as `feeds` if None.
        budget_s: Seconds to measure for, warm-up included; overrun where `min_pairs` needs it.
        min_pairs: Pairs to take at least.
        max_pairs: Pairs to take at most (one more if it is odd).
        seed: Seed of the bootstrap.
        confidence: Coverage of the intervals, in (0, 1).
        resolution: Relative difference that is never called one, 0 or more.

    Returns:
        The ratio with its interval, the noise floor, the verdict and both latencies.

    Raises:
        RuntimeFailureError: The original cannot be loaded again, or a run failed.
        UsageError: A number makes no sense.
    """
    if budget_s < 0 or not 1 <= min_pairs <= max_pairs:
        raise UsageError(
            "a measurement needs a budget of 0 s or more and 1 <= min_pairs <= max_pairs",
            where=f"budget_s={budget_s}, min_pairs={min_pairs}, max_pairs={max_pairs}",
        )
    _check_statistics(confidence, resolution)
    runs = (
        original.timed(feeds),
        pruned.timed(feeds if pruned_feeds is None else pruned_feeds),
        original.twin().timed(feeds),
    )
    times, repeats = _measure(runs, int(budget_s * 1e9), min_pairs, max_pairs)
    _LOG.debug("timed %d rounds, %s runs each time", len(times), repeats)
    return summarise(
        times[:, 0],
        times[:, 1],
        times[:, [0, 2]],
        seed=seed,
        confidence=confidence,
        resolution=resolution,
        repeats=(repeats[0], repeats[1]),
    )


def summarise(
    original_ns: Times,
    pruned_ns: Times,
    baseline_ns_pairs: Times,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resolution: float = _RESOLUTION,
    repeats: tuple[int, int] = (1, 1),
) -> Speedup:
    """Turns times into a verdict; no clock is read here.

    Args:
        original_ns: Nanoseconds for a run of the original, shape `[P]`, all above 0.
        pruned_ns: Nanoseconds for a run of the pruned model in the same pair, shape `[P]`.
        baseline_ns_pairs: Nanoseconds for a run of the original and one of its twin, shape
            `[Q, 2]`.
        seed: Seed of the bootstrap.
        confidence: Coverage of the intervals, in (0, 1).
        resolution: Relative difference that is never called one, 0 or more.
        repeats: Runs of the original and of the pruned model behind each time.

    Returns:
        The ratio with its interval, the noise floor, the verdict and both latencies.

    Raises:
        UsageError: The shapes do not fit, there are no pairs, a time is not above 0, the
            confidence is not in (0, 1), or the resolution is negative.
    """
    _check_statistics(confidence, resolution)
    _check_times(original_ns, pruned_ns, baseline_ns_pairs)
    generator = np.random.default_rng(seed)
    ratios = original_ns / pruned_ns
    noise = baseline_ns_pairs[:, 0] / baseline_ns_pairs[:, 1]
    low, high = median_interval(ratios, generator, confidence)
    noise_low, noise_high = median_interval(noise, generator, confidence)
    verdict: Verdict = "cannot tell"
    if min(ratios.size, noise.size) >= fewest_pairs(confidence):
        if low > max(1 + resolution, noise_high):
            verdict = "faster"
        elif high < min(1 / (1 + resolution), noise_low):
            verdict = "slower"
    return Speedup(
        ratio=float(np.median(ratios)),
        low=low,
        high=high,
        noise_low=noise_low,
        noise_high=noise_high,
        verdict=verdict,
        original=_latency(original_ns, repeats[0]),
        pruned=_latency(pruned_ns, repeats[1]),
        pairs=int(ratios.size),
        ratios=tuple(ratios.tolist()),
    )


def median_interval(
    values: NDArray[np.floating[Any]], generator: np.random.Generator, confidence: float
) -> tuple[float, float]:
    """Returns the percentile bootstrap interval of the median.

    Args:
        values: The sample, shape `[P]`.
        generator: Source of the resamples.
        confidence: Coverage, in (0, 1).
    """
    drawn = generator.integers(values.size, size=(_RESAMPLES, values.size), dtype=np.int32)
    medians = np.median(values[drawn], axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return float(low), float(high)


def fewest_pairs(confidence: float) -> int:
    """Returns the number of pairs below which no interval of the median has this coverage.

    All of n values lie on one side of the true median with probability 2 / 2^n; even the interval
    from the smallest to the largest value misses it then.

    Args:
        confidence: Coverage, in (0, 1).
    """
    return math.ceil(1 - math.log2(1 - confidence))


def repeats_for(run_ns: float) -> int:
    """Returns how many runs to time together, given how long one takes in nanoseconds."""
    return max(1, min(_MAX_REPEATS, math.ceil(_SAMPLE_NS / max(run_ns, 1.0))))


def _measure(
    runs: Sequence[TimedRun], budget_ns: int, min_pairs: int, max_pairs: int
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Returns the times in nanoseconds, shape `[P, 3]`, and the runs behind each, by model."""
    with _no_collection():
        tell(_TIMING, 0, 100)
        deadline_ns = time.perf_counter_ns() + budget_ns
        warm_ns = [_warm_up(run.time_ns, int(budget_ns * _WARM_UP_SHARE)) for run in runs]
        # The twin has to be sampled exactly as the original is.
        repeats = tuple(repeats_for(warm_ns[place]) for place in (0, 1, 0))
        rounds: list[list[float]] = []
        while len(rounds) < min_pairs or (
            len(rounds) < max_pairs and time.perf_counter_ns() < deadline_ns
        ):
            for _ in range(2):
                order = _ORDERS[len(rounds) % len(_ORDERS)]
                rounds.append(_take_turns(runs, repeats, order))
            left_ns = max(deadline_ns - time.perf_counter_ns(), 0)
            spent = max(1 - left_ns / max(budget_ns, 1), len(rounds) / max_pairs)
            tell(_TIMING, min(max(int(100 * min(spent, len(rounds) / min_pairs)), 1), 99), 100)
        tell(_TIMING, 100, 100)
    return np.array(rounds, dtype=np.float64), repeats


def _take_turns(
    runs: Sequence[TimedRun], repeats: Sequence[int], order: Sequence[int]
) -> list[float]:
    """Returns the mean time of a run in nanoseconds for each model, timed in the order given."""
    times_ns = [0.0] * len(runs)
    for place in order:
        # A coarse clock may not have moved; ratios need times above 0.
        times_ns[place] = max(runs[place].time_ns(repeats[place]), 1) / repeats[place]
    return times_ns


def _warm_up(time_ns: Callable[[int], int], patience_ns: int) -> float:
    """Runs until the median of a few runs stops falling; returns it in nanoseconds."""
    deadline_ns = time.perf_counter_ns() + patience_ns
    previous = math.inf
    while True:
        window: list[int] = []
        # A slow model must not spend more than the patience, but has to run at least once.
        while len(window) < _WINDOW and (not window or time.perf_counter_ns() < deadline_ns):
            window.append(time_ns(1))
        current = float(np.median(window))
        if current >= previous * (1 - _STEADY) or time.perf_counter_ns() >= deadline_ns:
            return current
        previous = current


@contextmanager
def _no_collection() -> Generator[None, None, None]:
    """Keeps Python's garbage collector out of the measurement."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_times(original_ns: Times, pruned_ns: Times, baseline_ns_pairs: Times) -> None:
    shapes = (original_ns.shape, pruned_ns.shape, baseline_ns_pairs.shape)
    paired = original_ns.ndim == 1 and original_ns.shape == pruned_ns.shape
    if not paired or baseline_ns_pairs.ndim != 2 or baseline_ns_pairs.shape[1] != 2:
        raise UsageError("times come as [P], [P] and [Q, 2]", where=str(shapes))
    for times in (original_ns, pruned_ns, baseline_ns_pairs):
        if times.size == 0 or not bool(np.all(times > 0)):
            raise UsageError("a comparison needs at least one pair, and times above 0")


def _check_statistics(confidence: float, resolution: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError("a confidence lies between 0 and 1", where=str(confidence))
    if not resolution >= 0:
        raise UsageError("a resolution is 0 or more", where=str(resolution))


def _latency(times_ns: Times, repeats: int) -> Latency:
    p50, p90, p99 = np.percentile(times_ns, [50, 90, 99]) / 1e6
    return Latency(float(p50), float(p90), float(p99), int(times_ns.size) * repeats)
