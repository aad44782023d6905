"""What must hold, and what speaks against it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_SHOWN = 6
"""So many of what speaks against a check are named."""


def check(what: str, against: Sequence[str], required: bool = True) -> dict[str, Any]:
    """Something that must hold, with whatever speaks against it.

    Args:
        what: in words.
        against: what speaks against it; it holds if there is nothing.
        required: whether it decides the exit code.
    """
    return {"what": what, "holds": not against, "against": list(against), "required": required}


def all_hold(checks: Iterable[Mapping[str, Any]]) -> bool:
    """Whether all that is required holds."""
    return all(each["holds"] for each in checks if each["required"])


def check_lines(checks: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the checks in lines."""
    yield "\nwhat must hold:"
    for each in checks:
        against, mark = each["against"], "holds" if each["holds"] else "DOES NOT HOLD"
        yield f"  {mark:<13} {each['what']}"
        if against:
            more = f" and {len(against) - _SHOWN} more" if len(against) > _SHOWN else ""
            yield f"{'':<16}against: {'; '.join(against[:_SHOWN])}{more}"
