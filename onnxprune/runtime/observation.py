"""What one model takes by itself: memory, time to load, and where the time of a run goes.

Memory and loading can only be told in a process that has not loaded anything else; see `fresh`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from onnxprune.runtime.binding import Array, load_onnxruntime
from onnxprune.runtime.loading import Optimization
from onnxprune.runtime.profile import Profile
from onnxprune.runtime.session import Session

_STATUS: Final = Path("/proc/self/status")
_RUNS: Final = 3
_LOADS: Final = 5
_LOADING_NS: Final = 1_000_000_000
_PROFILE_NS: Final = 500_000_000
_MOST_EVENTS: Final = 50_000
_MOST_RUNS: Final = 100


@dataclass(frozen=True, slots=True)
class Load:
    """How a model is loaded and run.

    Attributes:
        provider: A provider as `parse_provider` reads it.
        threads: Threads within an operator; 0 leaves the number to ONNX Runtime.
        optimization: ONNX Runtime's own graph optimization.
        strict: Whether it is an error if a node falls back to another provider.
    """

    provider: str = "cpu"
    threads: int = 1
    optimization: Optimization = "all"
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """What one model takes.

    Attributes:
        load_ms: Milliseconds that creating the session took; the median of a few times.
        memory_bytes: How far the process's memory rose, at its peak, above what it held before
            the session was created; None where the system cannot tell. A device's own memory is
            not in it.
        operators: Number of nodes by provider and operator type; empty where ONNX Runtime cannot
            tell.
        profile: Where the time of a run goes.
    """

    load_ms: float
    memory_bytes: int | None
    operators: Mapping[str, Mapping[str, int]]
    profile: Profile


def observe(
    path: Path, feeds: Mapping[str, Array], load: Load, model_sha256: str = ""
) -> Observation:
    """Loads and runs a model; to be called in a fresh process.

    Args:
        path: The model.
        feeds: A tensor for each input.
        load: How to load it.
        model_sha256: Hash of the model with its weights; see `Session`.

    Returns:
        What it took.

    Raises:
        ProviderUnavailableError: The provider does not start.
        RuntimeFailureError: ONNX Runtime cannot load or run the model.
    """
    open_session = partial(
        Session,
        path,
        provider=load.provider,
        threads=load.threads,
        optimization=load.optimization,
        strict=load.strict,
        model_sha256=model_sha256,
    )
    load_onnxruntime()
    _forget_peak()
    before = peak_memory()
    session, first_ns = _timed(open_session)
    run_ns = session.timed(feeds).time_ns(_RUNS) / _RUNS
    after = peak_memory()
    nodes = sum(session.nodes_by_provider.values()) or 1
    runs = min(_MOST_RUNS, int(_PROFILE_NS / max(run_ns, 1)), _MOST_EVENTS // nodes)
    return Observation(
        load_ms=_median_load_ms(open_session, first_ns),
        memory_bytes=None if before is None or after is None else after - before,
        operators=session.operators_by_provider,
        profile=session.profile(feeds, max(runs, 1)),
    )


def _median_load_ms(open_session: Callable[[], Session], first_ns: int) -> float:
    """The median of a few times that creating the session took; of one if that took long."""
    times_ns = [first_ns]
    while len(times_ns) < _LOADS and sum(times_ns) < _LOADING_NS:
        times_ns.append(_timed(open_session)[1])
    return median(times_ns) / 1e6


def _timed(open_session: Callable[[], Session]) -> tuple[Session, int]:
    start_ns = time.perf_counter_ns()
    session = open_session()
    return session, time.perf_counter_ns() - start_ns


def peak_memory(status: Path = _STATUS) -> int | None:
    """Returns the most memory that this process ever held.

    Args:
        status: Where Linux describes a process.

    Returns:
        Bytes (`VmHWM`); None where the system does not say.
    """
    try:
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key == "VmHWM":
            return int(value.split()[0]) * 1024
    return None


def _forget_peak() -> None:
    """Sets the peak to what is held now; where that is not allowed the peak so far stays."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
