"""Charts as SVG: each with a title, a description, and its numbers in a table below."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from onnxprune.reports.html.markup import NOTHING, Markup, element, join, table

WIDTH, HEIGHT = 480, 240
"""Of a chart, in its own units: so small that its text is still readable on a phone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 470, 14, 190
"""The borders of what is drawn inside."""
_TICKS = 4
_ENDS = (1, 1.2, 1.6, 2, 2.4, 3, 4, 6, 8, 10, 12)
"""Where axes may end, times a power of ten."""
_SINGLE = 200
"""More columns than that are too narrow to point at, and are drawn as one shape."""
_COLOURS = 5
"""Colours for lines that `report.css` has; further lines are grey."""

Point = tuple[float, float]
Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Axes:
    """What a chart is about.

    Attributes:
        title: of the chart.
        text: what it says, in a sentence.
        x: what goes to the right.
        y: what goes up.
        show_x: how numbers to the right are written.
        show_y: how numbers upwards are written.
        ticks: into how many parts the x axis is divided.
    """

    title: str
    text: str
    x: str
    y: str
    show_x: Show
    show_y: Show
    ticks: int = 4


def columns(
    axes: Axes, names: Sequence[str], before: Sequence[float], after: Sequence[float | None]
) -> Markup:
    """A column of what was, filled up to what is left, for each name.

    Args:
        axes: what it is about; `show_x` is not asked.
        names: one each, shown where one points at a column.
        before: numbers from 0.
        after: numbers from 0; None of what is gone.
    """
    top = nice_end(max([*before, *(a for a in after if a is not None), 0.0]))
    step = (_RIGHT - _LEFT) / max(len(names), 1)
    width = max(step * 0.8, 0.6)
    starts = [_LEFT + step * index + (step - width) / 2 for index in range(len(names))]
    bars: list[Markup] = []
    if len(names) > _SINGLE:
        for kind, values in (("before", before), ("after", after)):
            shapes = (_outline(x, width, v / top) for x, v in zip(starts, values, strict=True) if v)
            bars.append(element("path", d="".join(shapes), class_=kind))
    else:
        for x, name, old, new in zip(starts, names, before, after, strict=True):
            left = "gone" if new is None else axes.show_y(new)
            hint = element("title", f"{name}: {axes.show_y(old)} → {left}")
            pair = [_bar(x, width, old / top, "before")]
            if new is not None:
                pair.append(_bar(x, width, new / top, "after"))
            bars.append(element("g", hint, *pair))
    return drawing(axes, join([_grid_y(axes, top), *bars, _base(), _label(axes.x, 18)]))


def histogram(axes: Axes, edges: Sequence[float], counts: Sequence[float]) -> Markup:
    """Counts between edges; columns as wide as the bins are, from the first edge to the last.

    Args:
        axes: what it is about.
        edges: one more than counts, rising.
        counts: from 0.
    """
    low, high = edges[0], edges[-1]
    top = nice_end(max([*counts, 0.0]), whole=True)
    bars: list[Markup] = []
    for (left, right), count in zip(pairwise(edges), counts, strict=True):
        if count:
            x, width = _x(left, low, high), (right - left) / (high - low) * (_RIGHT - _LEFT)
            said = f"{axes.show_x(left)} to {axes.show_x(right)}: {axes.show_y(count)}"
            bar = _bar(x + 0.4, max(width - 0.8, 0.4), count / top, "after")
            bars.append(element("g", element("title", said), bar))
    marks = _grid_x(axes, low, high)
    return drawing(axes, join([_grid_y(axes, top), *bars, marks, _base(), _label(axes.x)]))


def lines(axes: Axes, curves: Mapping[str, Sequence[Point]], limit: float | None = None) -> Markup:
    """Curves over the same axes, the first of them in colours.

    Args:
        axes: what it is about.
        curves: by name; those that matter most first.
        limit: a place on the x axis to mark.
    """
    points = [point for curve in curves.values() for point in curve]
    xs = [x for x, _ in points] + ([] if limit is None else [limit])
    low, high = min(xs), max(xs)
    if low == high:
        low, high = low - 0.5, high + 0.5
    top = nice_end(max(y for _, y in points))
    drawn = [
        _curve(name, [(_x(x, low, high), _y(y / top)) for x, y in curve], index)
        for index, (name, curve) in reversed(list(enumerate(curves.items())))
    ]
    mark = NOTHING if limit is None else _upright(_x(limit, low, high), axes.show_x(limit))
    ground = [_grid_y(axes, top), _grid_x(axes, low, high), _base(), _label(axes.x)]
    return drawing(axes, join([*ground, *drawn, mark]))


def legend(names: Sequence[str]) -> Markup:
    """Which colour is which, of the lines that have one."""
    keys = (
        element("li", element("span", class_=f"key line-{index}"), name)
        for index, name in enumerate(names[:_COLOURS])
    )
    return element("ul", *keys, class_="legend")


def drawing(axes: Axes, content: Markup) -> Markup:
    """The picture itself, with what it shows in words."""
    return element(
        "svg",
        element("title", axes.title),
        element("desc", axes.text),
        content,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="chart",
    )


def figure(
    axes: Axes, chart: Markup, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> Markup:
    """A chart with its caption, and its numbers to unfold.

    Args:
        axes: what it is about.
        chart: the chart.
        headings: of the table.
        rows: of the table.
    """
    numbers = element("details", element("summary", "Numbers"), table(axes.title, headings, rows))
    caption = element("figcaption", element("strong", axes.title), " ", axes.text)
    return element("figure", caption, chart, numbers)


def share_bar(part: float, kind: str = "after") -> Markup:
    """A bar as long as a share; the number stands beside it."""
    length = 100 * min(max(part, 0.0), 1.0)
    return element(
        "svg",
        element("rect", width=100, height=8, class_="track"),
        element("rect", width=f"{length:.1f}", height=8, class_=kind),
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        class_="share",
        aria_hidden="true",
    )


def nice_end(value: float, *, whole: bool = False) -> float:
    """The least round number that is not below, of nothing that of 1.

    Args:
        value: what an axis must hold.
        whole: whether only whole numbers are of use as its ticks.
    """
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    ends = (end * scale for scale in (power, 10 * power) for end in _ENDS)
    least = max(value, power) * (1 - 1e-9)
    return next(end for end in ends if end >= least and not (whole and end % _TICKS))


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT)


def _y(part: float) -> float:
    return _BOTTOM - part * (_BOTTOM - _TOP)


def _bar(x: float, width: float, part: float, kind: str) -> Markup:
    y = _y(part)
    return element(
        "rect",
        x=f"{x:.2f}",
        y=f"{y:.2f}",
        width=f"{width:.2f}",
        height=f"{_BOTTOM - y:.2f}",
        class_=kind,
    )


def _outline(x: float, width: float, part: float) -> str:
    """A column as part of a path."""
    return f"M{x:.2f} {_BOTTOM}V{_y(part):.1f}h{width:.2f}V{_BOTTOM}"


def _curve(name: str, points: Sequence[Point], index: int) -> Markup:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    kind = f"line line-{index}" if index < _COLOURS else "line"
    return element("polyline", element("title", name), points=path, class_=kind)


def _grid_y(axes: Axes, top: float) -> Markup:
    """Lines across, each with its number."""
    made: list[Markup] = []
    for tick in range(_TICKS + 1):
        y = _y(tick / _TICKS)
        made.append(element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid"))
        said = axes.show_y(top * tick / _TICKS)
        made.append(element("text", said, x=_LEFT - 6, y=y + 4, text_anchor="end"))
    made.append(element("text", axes.y, x=_LEFT + 4, y=_TOP - 3))
    return join(made)


def _grid_x(axes: Axes, low: float, high: float) -> Markup:
    made: list[Markup] = []
    for tick in range(axes.ticks + 1):
        x = _LEFT + (_RIGHT - _LEFT) * tick / axes.ticks
        said = axes.show_x(low + (high - low) * tick / axes.ticks)
        anchor = "end" if tick == axes.ticks else "middle"
        made.append(element("text", said, x=x, y=_BOTTOM + 16, text_anchor=anchor))
    return join(made)


def _base() -> Markup:
    return element("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="base")


def _label(text: str, below: float = 38) -> Markup:
    x = (_LEFT + _RIGHT) / 2
    return element("text", text, x=x, y=_BOTTOM + below, text_anchor="middle")


def _upright(x: float, said: str) -> Markup:
    """A line upwards, with its text at the side that has room, below what curves rise to."""
    right = x < (_LEFT + _RIGHT) / 2
    aside, anchor = (4, "start") if right else (-4, "end")
    return join(
        [
            element("line", x1=x, x2=x, y1=_TOP, y2=_BOTTOM, class_="limit"),
            element("text", f"limit {said}", x=x + aside, y=_BOTTOM - 8, text_anchor=anchor),
        ]
    )
