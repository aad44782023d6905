"""The checks of a gate, each with its limit and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxprune.reports.gate import measured_text, shown
from onnxprune.reports.html.markup import NOTHING, Markup, table
from onnxprune.reports.html.summary import chip


def checks(record: Mapping[str, Any]) -> Markup:
    """A line for each check."""
    found = record.get("checks") or []
    if not found:
        return NOTHING
    rows = [
        (
            check["name"],
            chip(check["verdict"]),
            measured_text(check) or shown(check.get("measured"), check.get("unit") or ""),
            check.get("why") or "",
        )
        for check in found
    ]
    return table("Checks", ("check", "verdict", "measured", "why"), rows, numbers=4)
