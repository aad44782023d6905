"""Before and after for each layer: width, MACs, latency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from onnxprune.reports.html.charts import Axes, columns
from onnxprune.reports.html.groups import GroupLinks
from onnxprune.reports.html.markup import NOTHING, Markup, code, element, join, table
from onnxprune.reports.html.numbers import UNKNOWN, plural, short, shown
from onnxprune.reports.html.reading import at, listed, text_at
from onnxprune.reports.quantities import compact

Layer = Mapping[str, Any]
_NUMBERS = {
    "inputs": "inputs",
    "outputs": "outputs",
    "macs": "MACs",
    "parameters": "parameters",
    "latency_us": "latency, µs",
}
"""Columns of the table, by what the record calls them."""


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
            ("latency_us", "Latency of each layer", "µs", short),
        )
    ]
    links = GroupLinks(record)
    known = {key: said for key, said in _NUMBERS.items() if _known(found, key)}
    rows = [_row(layer, known, links) for layer in found]
    numbers = element(
        "details",
        element("summary", f"Numbers of all {len(found)} layers, with their coupling groups"),
        table("Layers, original → pruned", ("layer", *known.values(), "groups"), rows),
    )
    keys = element(
        "p",
        element("span", class_="key before"),
        "original ",
        element("span", class_="key after"),
        "pruned",
        class_="legend",
    )
    return join([keys, element("div", *charts, class_="charts"), numbers])


def _chart(
    found: Sequence[Layer], key: str, title: str, unit: str, show: Callable[[float], str]
) -> Markup:
    known = _known(found, key)
    if not known:
        return NOTHING
    before = [layer["before"][key] for layer in known]
    after = [at(layer, "after", key) for layer in known]
    total, left = sum(before), sum(number for number in after if number is not None)
    text = (
        f"{show(total)} {unit} together in {plural(len(known), 'layer')} before, {show(left)} "
        f"after; the numbers of each stand below."
    )
    axes = Axes(title, text, "layers, in graph order", unit, show, show)
    chart = columns(axes, [layer["node"] for layer in known], before, after)
    caption = element("figcaption", element("strong", title), " ", text)
    return element("figure", caption, chart)


def _known(found: Sequence[Layer], key: str) -> list[Layer]:
    """The layers of which a quantity is known."""
    return [layer for layer in found if at(layer, "before", key) is not None]


def _row(layer: Layer, keys: Iterable[str], links: GroupLinks) -> Sequence[str]:
    name = join([code(layer["node"]), " ", element("small", text_at(layer, "op_type"))])
    return name, *(_pair(layer, key) for key in keys), links.of_weight(layer.get("weight"))


def _pair(layer: Layer, key: str) -> str:
    show = short if key == "latency_us" else compact
    before, after = at(layer, "before", key), at(layer, "after", key)
    if layer.get("after") is None:
        return f"{shown(before, show)} → gone" if before is not None else UNKNOWN
    same = shown(before, show)
    return same if before == after else f"{same} → {shown(after, show)}"
