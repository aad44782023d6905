"""What operators take while a model runs, as ONNX Runtime's own profiler sees it.

The profiler measures on the host, around each kernel. Work that a device does after the call has
returned is not in there, unless calls are made to wait (`CUDA_LAUNCH_BLOCKING=1`).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

FUSED: Final = "(fused)"
"""Stands for the operators that a provider compiled into one."""

_KERNEL: Final = "_kernel_time"

Event = Mapping[str, Any]
"""An entry of a profile in Chrome's trace format; `ts` and `dur` are microseconds."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of a run goes.

    Attributes:
        times_ms: Milliseconds of a run (medians), by provider and operator type. What bodies of
            control flow take counts for the operators in them.
        runs: Number of runs.
        kernels_us: Microseconds of a run (medians), by the name that ONNX Runtime gives a kernel,
            and its operator type.
    """

    times_ms: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict[str, Mapping[str, float]]
    )
    runs: int = 0
    kernels_us: Mapping[tuple[str, str], float] = field(
        default_factory=dict[tuple[str, str], float], compare=False
    )

    @property
    def by_provider(self) -> dict[str, float]:
        """Milliseconds of a run by provider."""
        return {name: sum(times.values()) for name, times in self.times_ms.items()}

    @property
    def by_operator(self) -> dict[str, float]:
        """Milliseconds of a run by operator type, on all providers together."""
        total: defaultdict[str, float] = defaultdict(float)
        for times in self.times_ms.values():
            for operator, time_ms in times.items():
                total[operator] += time_ms
        return dict(total)


def read_profile(events: Sequence[Event], skip: int = 0) -> Profile:
    """Sums up the events of a profile.

    Args:
        events: All events, in any order.
        skip: Number of first runs to leave out.

    Returns:
        The medians over the other runs; an empty profile if there are none.
    """
    starts = sorted(event["ts"] for event in events if event["name"] == "model_run")[skip:]
    if not starts:
        return Profile()
    nodes = [
        event
        for event in events
        if event.get("cat") == "Node"
        and event["name"].endswith(_KERNEL)
        and event["ts"] >= starts[0]
    ]
    kinds: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * len(starts))
    kernels = kinds.copy()
    for event, own_us in _own_times(nodes):
        provider = event["args"].get("provider", "")
        run = bisect_right(starts, event["ts"]) - 1
        operator = _operator(event, provider)
        kinds[provider, operator][run] += own_us / 1e3
        kernels[event["name"].removesuffix(_KERNEL), operator][run] += own_us
    times: dict[str, dict[str, float]] = {}
    for (provider, operator), by_run in kinds.items():
        times.setdefault(provider, {})[operator] = median(by_run)
    return Profile(times, len(starts), {key: median(runs) for key, runs in kernels.items()})


def _operator(event: Event, provider: str) -> str:
    # Fused nodes are called PROVIDER_SUBGRAPH_NUMBER; their operator type is as arbitrary.
    if provider and event["name"].startswith(f"{provider}_"):
        return FUSED
    return str(event["args"].get("op_name", ""))


def _own_times(nodes: Sequence[Event]) -> list[tuple[Event, float]]:
    """Microseconds of each node without those of the nodes that run inside it."""
    ordered = sorted(nodes, key=lambda event: (event["tid"], event["ts"], -event["dur"]))
    own = [float(event["dur"]) for event in ordered]
    around: list[int] = []
    for place, event in enumerate(ordered):
        while around and not _holds(ordered[around[-1]], event):
            around.pop()
        if around:
            own[around[-1]] -= event["dur"]
        around.append(place)
    return list(zip(ordered, own, strict=True))


def _holds(outer: Event, inner: Event) -> bool:
    return bool(outer["tid"] == inner["tid"] and inner["ts"] < outer["ts"] + outer["dur"])
