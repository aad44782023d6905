"""TOML files, whose tables are read into dataclasses: a key that there is not is an error."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_type_hints

from onnxprune.errors import OnnxPruneError, UsageError, unknown

Texts = tuple[str, ...]
"""Several texts; one may stand alone."""
Amount = float | str
"""A number, or one with a unit."""

_Rule = TypeVar("_Rule")


def read_document(path: Path, what: str) -> tuple[dict[str, Any], bytes]:
    """Read a file.

    Args:
        path: the file.
        what: what it is, for messages.

    Returns:
        What it says, and its content.

    Raises:
        UsageError: it is not there, or is no TOML.
    """
    try:
        content = path.read_bytes()
        return tomllib.loads(content.decode()), content
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{what} cannot be read", where=str(path), why=str(error)) from error


def read(kind: type[_Rule], value: object, where: str) -> _Rule:
    """Make an object of a dataclass out of a table, by the names and types of its fields.

    Args:
        kind: the dataclass; its own checks may raise errors of this project.
        value: what stands in the file.
        where: the place, for messages.

    Raises:
        UsageError: it is no table, a key is missing or unknown, or a value makes no sense.
    """
    table = table_of(value, where)
    hints = get_type_hints(kind)
    refuse_unknown(table, hints, where)
    for each in fields(cast(Any, kind)):
        if each.name not in table and each.default is MISSING:
            raise UsageError(f"{each.name} is missing", where=where)
    made = {key: typed(entry, hints[key], f"{where}: {key}") for key, entry in table.items()}
    try:
        return kind(**made)
    except OnnxPruneError as error:
        raise placed(error, where) from error


def refuse_unknown(table: Mapping[str, object], allowed: Iterable[str], where: str) -> None:
    """Refuse keys that there are not, with the nearest right name.

    Raises:
        UsageError: there is one.
    """
    names = sorted(allowed)
    for key in table:
        if key not in names:
            raise unknown("setting", key, names, where=where)


def typed(value: object, hint: object, where: str) -> object:
    """A value of a field's type; an integer will do for a float, one text for several.

    What may be None may be left out.

    Raises:
        UsageError: it is of another type.
    """
    if NoneType in get_args(hint):
        (hint,) = (kind for kind in get_args(hint) if kind is not NoneType)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint == Texts:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and all(isinstance(t, str) for t in cast(list[object], texts)):
            return tuple(cast(list[str], texts))
    elif hint is str or hint is bool:
        if isinstance(value, hint):
            return value
    elif hint is int:
        if is_number and isinstance(value, int):
            return value
    elif is_number:
        return float(cast(float, value))
    elif hint == Amount and isinstance(value, str):
        return value
    raise UsageError(f"{value!r} makes no sense here", where=where)


def table_of(value: object, where: str) -> dict[str, object]:
    """A table.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, dict):
        raise UsageError("this is a table", where=where, hint="write it as [name] with its keys")
    return cast(dict[str, object], value)


def tables_of(value: object, name: str, where: str) -> Sequence[object]:
    """A list of tables.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, list):
        raise UsageError("there may be several of these", where=where, hint=f"write [[{name}]]")
    return cast(list[object], value)


def shape_of(value: object, where: str) -> tuple[int, ...]:
    """A shape.

    Raises:
        UsageError: it is none.
    """
    sizes = cast(list[object], value) if isinstance(value, list) else [0]
    if not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        raise UsageError(f"{value!r} is no shape", where=where, hint="write [1, 3, 224, 224]")
    return tuple(cast(list[int], sizes))


def placed(error: OnnxPruneError, where: str) -> UsageError:
    """The same error, said to be in a place of the file."""
    place = f"{where}, {error.where}" if error.where else where
    return UsageError(error.message, where=place, why=error.why, hint=error.hint)
