"""What the page rests on: the command, files with their hashes, versions, machine, settings."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from onnxprune.reports.html.markup import NOTHING, Markup, code, element, fact_list, join, table
from onnxprune.reports.html.numbers import UNKNOWN, shown
from onnxprune.reports.html.reading import at, listed, part


def origin(record: Mapping[str, Any]) -> Markup:
    """The exact command and everything that decided about the result."""
    words = [element("span", shlex.quote(word)) for word in listed(record, "command")]
    spaced = [part for word in words for part in (" ", word)][1:]
    shown = element("code", *spaced)
    command = element("pre", shown, role="group", aria_label="Command", tabindex=0)
    parts = [command] if words else []
    inputs: Mapping[str, Any] = part(record, "provenance", "inputs")
    rows = [
        (name, code(source.get("path") or UNKNOWN), code(source.get("sha256") or UNKNOWN))
        for name, source in inputs.items()
    ]
    if rows:
        parts.append(table("Files", ("what", "path", "SHA-256"), rows, numbers=3))
    for title, key in (("Versions", "versions"), ("Machine", "machine"), ("Settings", "settings")):
        found: Mapping[str, Any] = at(record, "provenance", key) or {}
        if found:
            facts = fact_list({name: _said(value) for name, value in found.items()})
            parts += [element("h3", title), facts]
    return join([*parts, _passes(listed(record, "passes")), _times(record)])


def _said(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_said(each)}" for key, each in value.items())  # pyright: ignore
    if isinstance(value, list):
        return ", ".join(map(_said, value)) or UNKNOWN  # pyright: ignore
    return str(value)


def _passes(found: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [
        (
            code(one["name"]),
            "; ".join(listed(one, "did")),
            shown(one.get("seconds"), "{:.2f}".format),
        )
        for one in found
    ]
    return table("Passes", ("pass", "what it did", "seconds"), rows, numbers=2) if rows else NOTHING


def _times(record: Mapping[str, Any]) -> Markup:
    times: Mapping[str, Any] = part(record, "seconds")
    if not times:
        return NOTHING
    said = ", ".join(f"{part} {shown(value, '{:.2f} s'.format)}" for part, value in times.items())
    return element("p", f"Time: {said}.")
