"""The checks of a gate, each with its limit and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxprune.reports.gate import measured_text, shown
from onnxprune.reports.html.markup import NOTHING, Markup, table
from onnxprune.reports.html.reading import listed, text_at
from onnxprune.reports.html.summary import chip


def checks(record: Mapping[str, Any]) -> Markup:
    """A line for each check."""
    found = listed(record, "checks")
    if not found:
        return NOTHING
    rows = [
        (
            check["name"],
            chip(check["verdict"]),
            measured_text(check) or shown(check.get("measured"), text_at(check, "unit")),
            text_at(check, "why"),
        )
        for check in found
    ]
    headings = ("check", "verdict", "measured", "why")
    return table("Each check, with what was measured", headings, rows, numbers=4)
