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

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from onnxprune.cli.options import parse_kinds
from onnxprune.errors import UsageError
from onnxprune.toml import Texts, read, read_document, refuse_unknown, tables_of, typed


@dataclass(frozen=True, kw_only=True)
class GroupEntry:
    """``[[groups]]``: what becomes of the groups that match.

    Attributes:
        match: glob pattern over names of groups, kinds and weights.
        ratio: fraction to remove.
        minimum: fewest channels kept.
        exclude: whether nothing is removed.
    """

    match: str
    ratio: float | None = None
    minimum: int | None = None
    exclude: bool = False

    def __post_init__(self) -> None:
        """Check that it says something, and one thing."""
        if self.ratio is None and self.minimum is None and not self.exclude:
            raise UsageError("this asks for nothing", hint="give ratio, minimum or exclude")
        if self.exclude and self.ratio is not None:
            raise UsageError("`exclude` and `ratio` exclude each other")


def read_settings(path: Path) -> dict[str, Any]:
    """Options of `RemoveChannels` out of a file.

    Args:
        path: the file, in TOML.

    Raises:
        UsageError: it is not there, is no TOML, or says what there is not.
    """
    document, _ = read_document(path, "the file of groups")
    refuse_unknown(document, ("kinds", "groups"), str(path))
    options: dict[str, Any] = {}
    if "kinds" in document:
        kinds = typed(document["kinds"], Texts, f"{path}: kinds")
        options["kinds"] = parse_kinds(cast(Texts, kinds))
    entries = tables_of(document.get("groups", []), "groups", str(path))
    for number, table in enumerate(entries, 1):
        entry = read(GroupEntry, table, f"{path}, groups entry {number}")
        ratio = 0.0 if entry.exclude else entry.ratio
        for name, value in (("ratios", ratio), ("minima", entry.minimum)):
            if value is not None:
                options[name] = (*options.get(name, ()), f"{entry.match}={value}")
    return options
