"""The dependency graph of coupling groups, drawn, with what it takes to search and filter it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from onnxprune.reports.html import layout
from onnxprune.reports.html.groups import Group, entries, shown_groups, state, width
from onnxprune.reports.html.markup import NOTHING, Markup, element, join
from onnxprune.reports.html.numbers import in_middle, plural
from onnxprune.reports.html.reading import listed, text_at

_WIDTH, _HEIGHT, _ACROSS, _DOWN = 190, 46, 220, 100
"""Of a node, and from one to the next."""
_BOX = f"M{-_WIDTH / 2:g} {-_HEIGHT / 2:g}h{_WIDTH}v{_HEIGHT}h-{_WIDTH}z"
_FOOT = f"M{-_WIDTH / 2:g} {_HEIGHT / 2 - 3:g}h"
"""Paths around its middle: its border, and the bar along its lower side as far as the length."""
_ASIDE = (0.0, *(sign * 0.33 * part * _ACROSS for part in (1, 2, 4, 6, 8) for sign in (1, -1)))
"""How far arrows are bent aside to pass between the nodes of further rows."""
_SAMPLE = 20
_LABEL = 27
_STATES = {"pruned": "pruned", "whole": "not pruned", "blocked": "blocked"}

Place = tuple[float, float]
Rows = Mapping[float, Sequence[float]]
"""Where nodes stand in each row."""


_HEAD = element(
    "marker",
    element("path", d="M0 0L8 4L0 8z"),
    id="head",
    viewBox="0 0 8 8",
    refX=8,
    refY=4,
    markerWidth=9,
    markerHeight=9,
    markerUnits="userSpaceOnUse",
    orient="auto",
)


def graph(record: Mapping[str, Any]) -> Markup:
    """Search and filters, the picture, what is selected, and the list of all groups."""
    found = shown_groups(record)
    if not found:
        return NOTHING
    total = len(record["groups_list"])
    cut = "" if len(found) == total else f" The pruned and the largest {len(found)} of {total}."
    text = (
        f"{plural(len(found), 'coupling group')}; an arrow from one to another is a layer that "
        f"sums over the first and makes the second, dashed where it runs upwards.{cut}"
    )
    panel = element(
        "aside",
        element("p", "Select a group to see what is coupled in it.", class_="hint"),
        id="selected",
        aria_label="Selected group",
        tabindex="-1",
    )
    picture = element("div", _controls(), _picture(found, text), class_="picture")
    return join(
        [
            element("p", text),
            _filters(found),
            element("div", picture, panel, class_="graph"),
            element("h3", "All groups"),
            entries(record),
        ]
    )


def _filters(found: Sequence[Group]) -> Markup:
    kinds = sorted({text_at(group, "kind") for group in found})
    states = [name for name in _STATES if any(state(group) == name for group in found)]
    search = element(
        "label",
        "Search groups, weights, nodes ",
        element("input", type="search", id="search", autocomplete="off"),
    )
    return element(
        "form",
        search,
        _choice("kind", "Kind ", {kind: kind for kind in kinds}),
        _choice("state", "State ", {name: _STATES[name] for name in states}),
        element("output", plural(len(found), "group"), id="matches", role="status"),
        class_="filters scripted",
        role="search",
        aria_label="Groups",
    )


def _choice(name: str, label: str, options: Mapping[str, str]) -> Markup:
    made = [element("option", said, value=key) for key, said in options.items()]
    return element(
        "label", label, element("select", element("option", "all", value="*"), *made, id=name)
    )


def _controls() -> Markup:
    buttons = [
        element("button", sign, type="button", data_zoom=key, aria_label=said)
        for key, sign, said in (
            ("in", "+", "Zoom in"),
            ("out", "-", "Zoom out"),
            ("fit", "⤢", "Whole graph"),
        )
    ]
    keys = element(
        "span",
        "Arrow keys move, Enter selects, Escape returns, + - 0 zoom",
        class_="hint",
        id="keys",
    )
    return element("div", *buttons, keys, class_="controls scripted")


def _picture(found: Sequence[Group], text: str) -> Markup:
    by_id = {group["id"]: group for group in found}
    edges = {i: [n for n in listed(group, "next") if n in by_id] for i, group in by_id.items()}
    places = _places(list(by_id), edges)
    rows: dict[float, list[float]] = defaultdict(list)
    for x, y in places.values():
        rows[y].append(x)
    arrows = [_arrow(a, b, places, rows) for a, after in edges.items() for b in after if a != b]
    nodes = [_node(group, places[group["id"]]) for group in _reading_order(found, places)]
    xs, ys = zip(*places.values(), strict=True)
    left, top = min(xs) - _WIDTH, min(ys) - _HEIGHT
    box = f"{left:g} {top:g} {max(xs) - left + _WIDTH:g} {max(ys) - top + _HEIGHT:g}"
    return element(
        "svg",
        element("title", "Dependency graph"),
        element("desc", text),
        element("defs", _HEAD),
        element("g", *arrows, class_="arrows", aria_hidden="true"),
        element("g", *nodes),
        id="graph",
        viewBox=box,
        role="group",
        aria_label="Dependency graph",
        aria_describedby="keys",
    )


def _places(ids: Sequence[int], edges: Mapping[int, Sequence[int]]) -> dict[int, Place]:
    places: dict[int, Place] = {}
    for y, row in enumerate(layout.rows(ids, edges)):
        middle = (len(row) - 1) / 2
        places |= {i: ((x - middle) * _ACROSS, float(y * _DOWN)) for x, i in enumerate(row)}
    return places


def _reading_order(found: Sequence[Group], places: Mapping[int, Place]) -> list[Group]:
    return sorted(found, key=lambda group: places[group["id"]][::-1])


def _arrow(source: int, target: int, places: Mapping[int, Place], rows: Rows) -> Markup:
    """A curve from below one node to above the other; upwards it leaves by the side."""
    (x, y), (to_x, to_y) = places[source], places[target]
    if to_y > y:
        start, end, bend = y + _HEIGHT / 2, to_y - _HEIGHT / 2, (to_y - y) / 2
        aside = min(_ASIDE, key=lambda shift: _hidden(places[source], places[target], shift, rows))
        first = f"{x + aside:.0f} {start + bend:.0f}"
        second = f"{to_x + aside:.0f} {end - bend:.0f}"
        path = f"M{x:.0f} {start:.0f}C{first} {second} {to_x:.0f} {end:.0f}"
    else:
        side = 1 if x >= to_x else -1
        start, end = x + side * _WIDTH / 2, to_x + side * _WIDTH / 2
        far = max(start * side, end * side) + 20 + (y - to_y) / 8
        turn = f"{far * side:.0f} {y:.0f} {far * side:.0f} {to_y:.0f}"
        path = f"M{start:.0f} {y:.0f}C{turn} {end:.0f} {to_y:.0f}"
    up = "up" if to_y <= y else None
    return element("path", d=path, data_ends=f"{source} {target}", class_=up)


def _hidden(start: Place, end: Place, aside: float, rows: Rows) -> int:
    """How many nodes a bent curve downwards runs behind; of many rows, a sample is asked."""
    (x, y), (to_x, to_y) = start, end
    found = 0
    passed = round((to_y - y) / _DOWN)
    for step in range(1, passed, 1 + passed // _SAMPLE):
        t = step * _DOWN / (to_y - y)
        here = x * (1 - t) ** 2 * (1 + 2 * t) + to_x * t**2 * (3 - 2 * t) + 3 * t * (1 - t) * aside
        found += any(abs(here - other) < _WIDTH / 2 for other in rows[y + step * _DOWN])
    return found


def _node(group: Group, place: Place) -> Markup:
    """A box with the group's name, kind and width, filled as far as indices stay.

    Its title is what a pointer shows and what a screen reader says.
    """
    kind = text_at(group, "kind")
    short = group["name"].removeprefix(f"{kind} of ")
    kept = _WIDTH * group["kept"] / max(group["size"], 1)
    said = f"{group['name']}, {width(group)}, {_STATES[state(group)]}"
    return element(
        "a",
        element("title", "\n".join([said, *listed(group, "nodes")[:1]])),
        element("path", d=_BOX),
        element("path", d=f"{_FOOT}{kept:.0f}"),
        element("text", in_middle(short, _LABEL), y=-6),
        element("text", f"{kind} {width(group)}", y=11),
        href=f"#group-{group['id']}",
        transform=f"translate({place[0]:g} {place[1]:g})",
        class_=f"node {state(group)}",
    )
