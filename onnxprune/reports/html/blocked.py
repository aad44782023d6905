"""What could not be pruned: reasons, with their share of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxprune.reports.html.charts import share_bar
from onnxprune.reports.html.groups import GroupLinks
from onnxprune.reports.html.markup import NOTHING, Markup, code, element, join, table
from onnxprune.reports.html.numbers import plural
from onnxprune.reports.html.reading import listed, text_at
from onnxprune.reports.quantities import share

REASONS = 100
"""Of more reasons, the smallest are only counted."""
PLACES = 100
"""Likewise of the nodes of one reason."""


def blocked(record: Mapping[str, Any]) -> Markup:
    """A line for each reason, the largest first, with its nodes and groups to unfold."""
    shares: dict[str, float] = {}
    places: dict[str, list[str]] = {}
    for entry in listed(record, "blocked"):
        reason = entry["reason"]
        shares[reason] = shares.get(reason, 0.0) + (entry.get("parameters") or 0.0)
        places.setdefault(reason, []).append(text_at(entry, "node"))
    if not shares:
        return NOTHING
    links = GroupLinks(record)
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    rows = [
        (reason, share(part), share_bar(part, "blocked"), _places(places[reason], reason, links))
        for reason, part in ranked[:REASONS]
    ]
    left = ranked[REASONS:]
    if left:
        part = sum(value for _, value in left)
        rows.append((plural(len(left), "more reason"), share(part), share_bar(part), NOTHING))
    return table(
        "Share of the parameters, by reason",
        ("reason", "share", "of all parameters", "where"),
        rows,
        numbers=1,
    )


def _places(nodes: list[str], reason: str, links: GroupLinks) -> Markup:
    named = [node for node in nodes if node]
    groups = links.of_reason(reason)
    if not named:
        return groups
    shown = [element("li", code(node)) for node in named[:PLACES]]
    if len(named) > PLACES:
        shown.append(element("li", f"and {len(named) - PLACES} more"))
    listed = element("ul", *shown, class_="names")
    return join(
        [element("details", element("summary", plural(len(named), "node")), listed), groups]
    )
