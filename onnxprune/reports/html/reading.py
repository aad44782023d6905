"""What a record has at a place; every part of a record may be missing, or be another command's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast


def at(record: Any, *keys: str) -> Any:
    """What lies at the end of a row of keys; None where one of them leads nowhere."""
    found = record
    for key in keys:
        found = cast(Mapping[str, Any], found).get(key) if isinstance(found, Mapping) else None
    return found


def part(record: Any, *keys: str) -> Mapping[str, Any]:
    """The object there; an empty one where there is none."""
    found = at(record, *keys)
    return cast(Mapping[str, Any], found) if isinstance(found, Mapping) else {}


def listed(record: Any, *keys: str) -> Sequence[Any]:
    """The list there; an empty one where there is none."""
    found = at(record, *keys)
    return cast(Sequence[Any], found) if isinstance(found, list | tuple) else ()


def text_at(record: Any, *keys: str) -> str:
    """The text there; "" where there is none."""
    found = at(record, *keys)
    return "" if found is None else str(found)
