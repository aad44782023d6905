"""Checks: a number beside its limit, and what follows: pass, fail, or cannot tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "cannot tell"]
"""What a check says."""
Better = Literal["higher", "lower", ""]
"""Which way a number is better; "" of what is none."""
VERSION = "version"
"""Unit of numbers that only their limits make good or bad."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked for.

    Attributes:
        name: what it is about; unique within a policy.
        verdict: what it says.
        measured: the number, if there is one.
        interval: where the true number lies; the number itself where nothing is random.
        limit: the most or least it may be.
        better: which way it is better.
        unit: of the number: ``share``, ``cosine``, ``dB``, ``bytes``, ``x``, ``ms``,
            ``version`` or "".
        why: in words, if it is not ``pass``.
    """

    name: str
    verdict: Verdict
    measured: float | None = None
    interval: tuple[float, float] | None = None
    limit: float | None = None
    better: Better = ""
    unit: str = ""
    why: str = ""


def bounded(
    name: str,
    measured: float,
    limit: float,
    better: Better,
    *,
    interval: tuple[float, float] | None = None,
    unit: str = "",
    why: str = "",
) -> Check:
    """A number that must not be worse than a limit.

    It passes if the whole interval is on the right side, and fails if none of it is.

    Args:
        name: see `Check`.
        measured: the number.
        limit: its limit.
        better: ``higher`` or ``lower``.
        interval: where the true number lies, if it is not known exactly.
        unit: of the number.
        why: what to say if it does not pass, beside the numbers.
    """
    sign = 1.0 if better == "higher" else -1.0
    ends = sorted(sign * end for end in interval or (measured, measured))
    verdict: Verdict = "cannot tell"
    if ends[0] >= sign * limit:
        verdict = "pass"
    elif not ends[1] >= sign * limit:  # a NaN fails
        verdict = "fail"
    said = "" if verdict == "pass" else why
    return Check(name, verdict, measured, interval, limit, better, unit, said)


def holds(name: str, truth: bool, why: str) -> Check:
    """Something that is so or not.

    Args:
        name: see `Check`.
        truth: whether it is.
        why: what to say if it is not.
    """
    return Check(name, "pass" if truth else "fail", why="" if truth else why)


def overall(checks: Iterable[Check]) -> Verdict:
    """What all of them say together: the worst."""
    verdicts = {check.verdict for check in checks}
    if "fail" in verdicts:
        return "fail"
    return "cannot tell" if "cannot tell" in verdicts else "pass"
