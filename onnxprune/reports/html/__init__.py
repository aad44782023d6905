"""The record as one HTML file that works by itself: no server, no network, no library.

Charts and the graph are SVG that Python draws; the page is whole without its script, which only
searches, filters, zooms and selects. Its content security policy names that script and the styles
by their hashes and forbids everything else, so that nothing out of a model could run even if it
were not escaped.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from onnxprune.reports.html.blocked import blocked
from onnxprune.reports.html.budget import budget
from onnxprune.reports.html.checks import checks
from onnxprune.reports.html.fidelity import fidelity
from onnxprune.reports.html.graph import graph
from onnxprune.reports.html.layers import layers
from onnxprune.reports.html.markup import Markup, element, verbatim
from onnxprune.reports.html.origin import origin
from onnxprune.reports.html.reading import at
from onnxprune.reports.html.sensitivity import sensitivity
from onnxprune.reports.html.speed import speed
from onnxprune.reports.html.summary import summary
from onnxprune.reports.record import plain

_SECTIONS: tuple[tuple[str, str, Callable[[Mapping[str, Any]], Markup]], ...] = (
    ("summary", "Summary", summary),
    ("checks", "Checks", checks),
    ("fidelity", "Outputs", fidelity),
    ("layers", "Layers", layers),
    ("speed", "Speed", speed),
    ("sensitivity", "Sensitivity", sensitivity),
    ("budget", "Budget", budget),
    ("blocked", "Not prunable", blocked),
    ("couplings", "Dependency graph", graph),
    ("origin", "Command and versions", origin),
)
"""In the order of the page; one that has nothing to show is left out."""


def render(record: Mapping[str, Any]) -> str:
    """The page for a record, of a run that failed as well: what is not there is not shown.

    Args:
        record: as `onnxprune.reports.record` makes it, or the record of another command.
    """
    finite = plain(record)
    made = [(name, title, section(finite)) for name, title, section in _SECTIONS]
    present = [(name, title, content) for name, title, content in made if content]
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in present]
    main = [
        element(
            "section",
            element("h2", title, id=f"{name}-title"),
            content,
            id=name,
            aria_labelledby=f"{name}-title",
        )
        for name, title, content in present
    ]
    title = _title(finite)
    body = element(
        "body",
        element("a", "Skip to the report", href="#main", class_="skip"),
        element("header", element("h1", title)),
        element("nav", element("ul", *links), aria_label="Sections"),
        element("main", *main, id="main", tabindex="-1"),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Markup:
    style, script = _own("report.css"), _own("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
        element("script", script, type="module"),
    )


def _own(name: str) -> Markup:
    text = files("onnxprune.reports.html").joinpath(name).read_text("utf-8")
    return verbatim(text.replace("\r\n", "\n"))


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _title(record: Mapping[str, Any]) -> str:
    """The names of the files that the page is about."""
    names = [
        PurePath(path).name
        for what in ("original", "candidate", "pruned")
        if (path := at(record, "provenance", "inputs", what, "path"))
    ]
    return " → ".join(names) + " · onnxprune" if names else "onnxprune"
