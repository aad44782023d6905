"""Numbers that decide: what hands them on, and what compares them, counts to them or tests them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

HANDS_ON = frozenset(
    [
        "Cast",
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ]
)
"""Operators that hand index values on as they are."""
_STEPS = {
    "Equal": (0, 1),
    "Greater": (1, -1),
    "GreaterOrEqual": (1, -1),
    "Less": (1, -1),
    "LessOrEqual": (1, -1),
}
"""Comparisons, and how far from what a number is compared with it gets either answer."""
_TRIPS = (3, 2)
"""What a number that a loop counts to should be."""
_BOOL = 9
"""ONNX's number of truth values."""


def choices(
    op_type: str, attributes: Mapping[str, object], places: Collection[int], known: Iterable[int]
) -> Iterator[int]:
    """What a number should be in turn for an operator that reads it to come out either way.

    Args:
        op_type: the operator.
        attributes: its attributes.
        places: the inputs that are the number.
        known: what is known of the other inputs that are single numbers.
    """
    if op_type == "Cast" and attributes.get("to") == _BOOL:
        yield from (1, 0)
    elif op_type == "Loop" and 0 in places:
        yield from _TRIPS
    else:
        yield from (number + step for number in known for step in _STEPS.get(op_type, ()))
