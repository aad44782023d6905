"""Edits that faults of several kinds are made of."""

from typing import Any

from mutation.subject import Array, Draft, Edit


def give(place: int, operand: int, array: Array) -> Edit:
    """An edit that gives one operand of a node another constant."""

    def edit(draft: Draft) -> str:
        before = draft.node(place).input[operand]
        draft.give(place, operand, array)
        return f"{before} became {array.tolist()}" if array.size < 9 else before

    return edit


def exchange_inputs(place: int, first: int, second: int) -> Edit:
    """An edit that exchanges two operands of a node."""

    def edit(draft: Draft) -> str:
        exchange(draft.node(place).input, first, second)
        return f"operands {first} and {second}"

    return edit


def exchange(names: Any, first: int, second: int) -> None:
    """Exchanges two names of a list."""
    names[first], names[second] = names[second], names[first]
