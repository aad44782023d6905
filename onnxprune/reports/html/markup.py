"""Elements of a page: whatever is not markup already is escaped, wherever it comes from.

Names of nodes and weights come out of models, which anybody may have written. Text and attributes
go through `element`, so that no section has to think of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_VOID = frozenset({"br", "input", "meta"})
"""Elements without an end."""
_SHAPES = frozenset({"line", "path", "polyline", "rect"})
"""Elements of SVG that end themselves where nothing is inside."""
_ENDLESS = frozenset({"dd", "dt", "li"})
"""Elements of which HTML knows where they end: there are thousands of them."""


class Markup(str):
    """Text that is markup; only `element`, `join` and `verbatim` make it."""

    __slots__ = ()


NOTHING = Markup()
"""No markup at all: what a section returns that has nothing to show."""


def element(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """One element; text among its children is escaped, and so are attributes.

    Args:
        name: of the element.
        children: text, or markup.
        attributes: by name, with ``_`` for ``-`` and a last ``_`` dropped (``class_``). What is
            None is left out; "" gives an attribute without a value.
    """
    start = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{start}>")
    if name in _SHAPES and not children:
        return Markup(f"<{start}/>")
    if name in _ENDLESS:
        return Markup(f"<{start}>{join(children)}")
    return Markup(f"<{start}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Text and markup in a row."""
    return Markup("".join(p if isinstance(p, Markup) else _escaped(p) for p in parts))


def verbatim(text: str) -> Markup:
    """The project's own CSS and JavaScript, as they are."""
    return Markup(text)


def code(text: object) -> Markup:
    """A name, a path, a hash: it may break anywhere, and turns no text around it."""
    return element("code", str(text))


def fact_list(facts: Mapping[str, str]) -> Markup:
    """Terms with what is to be said of each; what is empty is left out, and so is an empty list."""
    pairs = [
        part
        for term, said in facts.items()
        if said
        for part in (element("dt", term), element("dd", said))
    ]
    return element("dl", *pairs) if pairs else NOTHING


def table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 1
) -> Markup:
    """A table that scrolls by itself where it is too wide, the first cell of each row its heading.

    Args:
        caption: what it shows.
        headings: of its columns.
        rows: cells, as text or markup.
        numbers: the column from which on cells are numbers; 1 to 4.
    """
    head = join(element("th", h, scope="col") if h else element("td") for h in headings)
    body = [_row(row) for row in rows]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", head)),
        element("tbody", *body),
        class_=f"numbers-{numbers}",
    )
    return element(
        "div", whole, class_="wide", role="group", aria_label=caption or "table", tabindex=0
    )


def _row(cells: Sequence[str]) -> Markup:
    first, *rest = cells
    others = (element("td", cell) for cell in rest)
    return element("tr", element("th", first, scope="row"), *others)


def _attribute(key: str, value: str | float | None) -> str:
    if value is None:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value == "" else f' {name}="{_escaped(str(value))}"'


def _escaped(text: str) -> str:
    """Escaped; bytes of a path that are no text would stop the page from being written."""
    return escape(text.encode("utf-8", "replace").decode())
