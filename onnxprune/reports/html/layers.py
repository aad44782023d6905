"""Before and after for each layer: width, MACs, latency."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onnxprune.reports.html.charts import Axes, columns
from onnxprune.reports.html.groups import GroupLinks
from onnxprune.reports.html.markup import NOTHING, Markup, code, element, join, table
from onnxprune.reports.html.numbers import UNKNOWN, short, shown
from onnxprune.reports.html.reading import at, listed, text_at
from onnxprune.reports.quantities import compact

Layer = Mapping[str, Any]


def layers(record: Mapping[str, Any]) -> Markup:
    """A chart for each quantity that is known, and one table of them all."""
    found: Sequence[Layer] = listed(record, "layers")
    if not found:
        return NOTHING
    charts = [
        _chart(found, key, title, unit, show)
        for key, title, unit, show in (
            ("outputs", "Width of each layer", "channels", short),
            ("macs", "MACs of each layer", "MACs", short),
            ("latency_us", "Latency of each layer", "µs", "{:.3g}".format),
        )
    ]
    links = GroupLinks(record)
    rows = [_row(layer, links) for layer in found]
    headings = ("layer", "inputs", "outputs", "MACs", "parameters", "latency, µs", "groups")
    numbers = element(
        "details",
        element("summary", f"Numbers of all {len(found)} layers, with their coupling groups"),
        table("Layers, original → pruned", headings, rows),
    )
    keys = element(
        "p",
        element("span", class_="key before"),
        "original ",
        element("span", class_="key after"),
        "pruned; layers in graph order",
        class_="legend",
    )
    return join([keys, element("div", *charts, class_="charts"), numbers])


def _chart(
    found: Sequence[Layer], key: str, title: str, unit: str, show: Callable[[float], str]
) -> Markup:
    known = [layer for layer in found if at(layer, "before", key) is not None]
    if not known:
        return NOTHING
    before = [layer["before"][key] for layer in known]
    after = [at(layer, "after", key) for layer in known]
    total, left = sum(before), sum(number for number in after if number is not None)
    text = f"{show(total)} {unit} together in {len(known)} layers before, {show(left)} after."
    axes = Axes(title, text, "layers, in graph order", unit, show, show)
    chart = columns(axes, [layer["node"] for layer in known], before, after)
    caption = element("figcaption", element("strong", title), " ", text)
    return element("figure", caption, chart)


def _row(layer: Layer, links: GroupLinks) -> Sequence[str]:
    name = join([code(layer["node"]), " ", element("small", text_at(layer, "op_type"))])
    pairs = [
        _pair(layer, key, show)
        for key, show in (
            ("inputs", compact),
            ("outputs", compact),
            ("macs", compact),
            ("parameters", compact),
            ("latency_us", "{:.3g}".format),
        )
    ]
    return name, *pairs, links.of_weight(layer.get("weight"))


def _pair(layer: Layer, key: str, show: Callable[[float], str]) -> str:
    before, after = at(layer, "before", key), at(layer, "after", key)
    if layer.get("after") is None:
        return f"{shown(before, show)} → gone" if before is not None else UNKNOWN
    same = shown(before, show)
    return same if before == after else f"{same} → {shown(after, show)}"
