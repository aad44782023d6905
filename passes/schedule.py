"""Schedules: how much is left after each of several steps.

Each is a curve from the whole to what is left in the end. ``cubic`` takes much at first and little
at the end: M. Zhu, S. Gupta, "To Prune, or Not to Prune", ICLR 2018 (workshop). With
``exponential`` each step leaves the same share of what the one before left. ``constant`` takes all
at once; later steps fit and choose again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxprune.errors import UsageError, unknown

Curve = Callable[[float, float], float]
"""From the share that is left in the end and the part of the way, in (0, 1], to what is left."""


def _linear(end: float, way: float) -> float:
    return end + (1 - end) * (1 - way)


def _cubic(end: float, way: float) -> float:
    return float(end + (1 - end) * (1 - way) ** 3)


def _exponential(end: float, way: float) -> float:
    return float(end**way)


def _constant(end: float, way: float) -> float:
    return end


SCHEDULES: Mapping[str, Curve] = {
    "linear": _linear,
    "cubic": _cubic,
    "exponential": _exponential,
    "constant": _constant,
}
"""Every schedule by name."""


def left_after(schedule: str, end: float, way: float) -> float:
    """The share that is left after a part of the way.

    Args:
        schedule: one of `SCHEDULES`.
        end: the share that is left in the end, in [0, 1].
        way: how much of the way lies behind, in [0, 1].
    """
    return SCHEDULES[schedule](end, way) if way else 1.0


def check_schedule(schedule: str, way: float) -> None:
    """Check the options of a pass that goes a part of a way.

    Raises:
        UsageError: a value makes no sense.
    """
    if schedule not in SCHEDULES:
        raise unknown("schedule", schedule, SCHEDULES)
    if not 0 < way <= 1:
        raise UsageError(f"way is {way}", hint="1 goes all the way")
