"""Numbers of a record as text, where they are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxprune.reports.quantities import compact

UNKNOWN = "—"
"""What stands for a number that nobody knows."""


def shown(value: Any, show: Callable[[float], str]) -> str:
    """A number as `show` writes it; a dash where there is none."""
    return UNKNOWN if value is None else show(value)


def plural(number: float, word: str, several: str = "") -> str:
    """A number of things, as in ``1 layer`` or ``12 layers``; `several` of what takes no *s*."""
    return f"{number:,.0f} {word if number == 1 else several or word + 's'}"


def short(value: float) -> str:
    """A number in few characters; below ten with its fraction, as ticks of an axis have it."""
    return f"{value:.3g}" if value < 10 else compact(value)


def in_middle(name: str, length: int) -> str:
    """A name with its middle left out where it is longer."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[: length - 1 - half]}…{name[-half:]}"
