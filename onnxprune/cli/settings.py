"""A file that says what becomes of which groups (`--groups FILE.toml`).

kinds = ["+head_dim"]

[[groups]]
match = "head of *"
ratio = 0.5
minimum = 2

[[groups]]
match = "classifier*"
exclude = true
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from onnxprune.cli.options import parse_kinds
from onnxprune.errors import UsageError, suggestion

_ENTRY: Mapping[str, type | tuple[type, ...]] = {
    "match": str,
    "ratio": (int, float),
    "minimum": int,
    "exclude": bool,
}
_TOP: Mapping[str, type | tuple[type, ...]] = {"kinds": list, "groups": list}


def read_settings(path: Path) -> dict[str, Any]:
    """Options of `RemoveChannels` out of a file.

    Args:
        path: the file, in TOML.

    Raises:
        UsageError: it is not there, is no TOML, or says what there is not.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            "the file of groups cannot be read", where=str(path), why=str(error)
        ) from error
    _check(document, _TOP, str(path))
    options: dict[str, Any] = {}
    if "kinds" in document:
        options["kinds"] = parse_kinds(map(str, document["kinds"]))
    for number, entry in enumerate(document.get("groups", ()), 1):
        where = f"{path}, groups entry {number}"
        _check(entry, _ENTRY, where)
        if "match" not in entry or len(entry) < 2:
            raise UsageError(
                "an entry needs `match`, and one of `ratio`, `minimum`, `exclude`", where=where
            )
        if entry.get("exclude") and "ratio" in entry:
            raise UsageError("`exclude` and `ratio` exclude each other", where=where)
        ratio = 0.0 if entry.get("exclude") else entry.get("ratio")
        for name, value in (("ratios", ratio), ("minima", entry.get("minimum"))):
            if value is not None:
                options[name] = (*options.get(name, ()), f"{entry['match']}={value}")
    return options


def _check(table: object, allowed: Mapping[str, type | tuple[type, ...]], where: str) -> None:
    """Refuse keys that there are not, and values of another type."""
    if not isinstance(table, dict):
        raise UsageError("an entry is no table", where=where, hint="write [[groups]]")
    for key, value in cast(dict[str, object], table).items():
        if key not in allowed:
            raise UsageError(
                f"there is no setting {key!r}",
                where=where,
                hint=suggestion(key, allowed) or f"there are {', '.join(allowed)}",
            )
        wrong = isinstance(value, bool) and allowed[key] is not bool
        if wrong or not isinstance(value, allowed[key]):
            raise UsageError(f"{key} = {value!r} makes no sense", where=where)
