"""What meeting a budget costs: importance lost as the quantity shrinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxprune.reports.html.charts import Axes, figure, lines
from onnxprune.reports.html.markup import NOTHING, Markup, element
from onnxprune.reports.html.reading import listed
from onnxprune.reports.quantities import share

_QUANTITIES = {"macs": "MACs", "params": "Parameters"}


def budget(record: Mapping[str, Any]) -> Markup:
    """A curve for each target that was asked for."""
    charts = [_chart(target) for target in listed(record, "budget")]
    return element("div", *charts, class_="charts") if any(charts) else NOTHING


def _chart(target: Mapping[str, Any]) -> Markup:
    points = [
        (point["left"], point["loss"])
        for point in listed(target, "curve")
        if point["left"] is not None and point["loss"] is not None
    ]
    if not points:
        return NOTHING
    name = _QUANTITIES.get(target["quantity"], str(target["quantity"]).capitalize())
    limit = target.get("limit")
    asked = "" if limit is None else f" The limit is {share(limit)}."
    text = f"Importance lost in all as less of them is left, from right to left.{asked}"
    title = f"{name}: the price of the budget"
    axes = Axes(title, text, f"share of {name} left", "loss", share, "{:.3g}".format)
    rows = [(share(x), f"{y:.4g}") for x, y in points]
    return figure(axes, lines(axes, {name: points}, limit), ("left", "loss"), rows)
