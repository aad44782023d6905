"""Targets as people write them: ``macs=0.5``, ``size=5MB``, ``params=60%``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from onnxprune.cost.ledger import QUANTITIES
from onnxprune.errors import UsageError, unknown

_TEXT = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][0-9]+)?)\s*([A-Za-z%]*)")
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12}
_BYTES = {
    "": 1.0,
    "b": 1.0,
    **{f"{prefix}b": 1000.0**power for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": 1024.0**power for power, prefix in enumerate("kmgt", 1)},
}
_TIMES = {"ms": 1.0, "us": 1e-3, "s": 1e3}
_UNITS = {"size": _BYTES, "memory": _BYTES, "latency": _TIMES}
_EXAMPLES = {
    "latency": "0.6 or 8ms",
    "macs": "0.5 or 2.1G",
    "params": "0.5 or 5M",
    "size": "0.5 or 5MB",
}


def fraction(text: str) -> float:
    """A number, or a percentage as a fraction: 0.3 for ``30%``.

    Raises:
        ValueError: it is neither.
    """
    stripped = text.strip()
    return float(stripped[:-1]) / 100 if stripped.endswith("%") else float(stripped)


@dataclass(frozen=True, slots=True)
class Target:
    """What a model may cost at most.

    Attributes:
        quantity: one of `cost.ledger.QUANTITIES`.
        value: the most: a share of the original if `relative`, else in the quantity's unit (of
            one sample, where the batch is free).
        relative: whether it is a share.
    """

    quantity: str
    value: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``QUANTITY=VALUE``: a share below 1, a percentage, or a number with its unit.

        Raises:
            UsageError: there is no such quantity or unit, or the number makes no sense.
        """
        quantity, _, amount = (part.strip() for part in text.partition("="))
        if quantity not in QUANTITIES:
            raise unknown("target", quantity, QUANTITIES)
        match = _TEXT.fullmatch(amount)
        units = _UNITS.get(quantity, _COUNTS)
        unit = match[2].lower() if match else ""
        number = float(match[1]) if match else 0.0
        relative = unit == "%" or (not unit and number < 1)
        if match is None or not (relative or unit in units):
            raise UsageError(
                f"{amount!r} is no target for {quantity}",
                hint=f"write {_EXAMPLES.get(quantity, _EXAMPLES['size'])}; numbers below 1 are "
                "shares of the original",
            )
        value = number / 100 if unit == "%" else number * units.get(unit, 1.0)
        if value <= 0 or (relative and value >= 1):
            raise UsageError(
                f"a target of {amount} for {quantity} makes no sense",
                why="it must be more than nothing, and less than the original has",
            )
        return cls(quantity, value, relative)
