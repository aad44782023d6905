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
        PlanError: an axis would be selected block by block twice.
    """
    if isinstance(first, Blocks) or isinstance(second, Blocks):
        raise PlanError(
            "two removals select the same axis block by block", where=where, hint="use one removal"
        )
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
