"""What a plan keeps of one axis of a weight: indices, or indices for each block of another axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from onnxprune.errors import PlanError


@dataclass(frozen=True, slots=True)
class Blocks:
    """Indices kept on an axis for each block of another axis.

    Attributes:
        by: the other axis.
        kept: for each of its blocks, the indices kept, ascending; all of one length.
    """

    by: int
    kept: tuple[tuple[int, ...], ...]


AxisPlan = tuple[int, ...] | Blocks
"""Indices kept, ascending; for all of the axis, or block by block."""


def compose(first: AxisPlan, second: AxisPlan, where: str) -> AxisPlan:
    """What two removals in a row keep, in the indices of the first one's input.

    Raises:
        PlanError: an axis would be selected by other blocks than before.
    """
    if not isinstance(first, Blocks):
        if not isinstance(second, Blocks):
            return _picked(first, second)
        return Blocks(second.by, tuple(_picked(first, row) for row in second.kept))
    rows = second.kept if isinstance(second, Blocks) else (second,) * len(first.kept)
    if (isinstance(second, Blocks) and first.by != second.by) or len(first.kept) != len(rows):
        raise PlanError(
            "two removals select the same axis by different blocks",
            where=where,
            hint="use one removal",
        )
    return Blocks(first.by, tuple(map(_picked, first.kept, rows)))


def _picked(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(first[index] for index in second)


def to_json(kept: AxisPlan) -> Any:
    """What is kept as a JSON value."""
    if isinstance(kept, Blocks):
        return {"by": kept.by, "blocks": [list(row) for row in kept.kept]}
    return list(kept)


def from_json(kept: Any) -> AxisPlan:
    """Read what `to_json` wrote; other values raise KeyError, TypeError or ValueError."""
    if not isinstance(kept, dict):
        return _whole_numbers(kept)
    blocks = cast("dict[str, Any]", kept)
    return Blocks(int(blocks["by"]), tuple(_whole_numbers(row) for row in blocks["blocks"]))


def _whole_numbers(row: Any) -> tuple[int, ...]:
    return tuple(int(index) for index in row)
