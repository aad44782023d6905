"""What outputs lose when each group is cut by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxprune.reports.html.charts import Axes, figure, legend, lines
from onnxprune.reports.html.markup import NOTHING, Markup, code, element, join, table
from onnxprune.reports.html.numbers import UNKNOWN, in_middle, plural, shown
from onnxprune.reports.html.reading import listed, part
from onnxprune.reports.quantities import share
from onnxprune.reports.rows import cuts_by_ratio

LINES = 200
"""Less sensitive groups are in the table only."""
_NAME = 44


def sensitivity(record: Mapping[str, Any]) -> Markup:
    """A curve for each group, the most sensitive in colours, and the numbers of all."""
    within = record.get("sensitivity") or record
    cut = [group for group in listed(within, "groups") if group.get("cuts")]
    if not cut:
        return NOTHING
    ranked: list[Mapping[str, Any]] = sorted(cut, key=_worst, reverse=True)
    curves = {f"{g['index']}: {g['name']}": _curve(g) for g in ranked[:LINES]}
    text = (
        f"Deviation of the outputs, in squares, with one group cut by itself, on "
        f"{plural(within.get('samples') or 0, 'sample')}; the most sensitive groups in colours."
    )
    axes = Axes("Sensitivity of groups", text, "share of the group cut", "loss", share, share)
    ratios = listed(within, "ratios")
    rows = [
        (in_middle(g["name"], _NAME), str(g["size"]), *map(_loss, cuts_by_ratio(g, ratios)))
        for g in ranked
    ]
    headings = ("group", "size", *(f"{ratio:.0%} cut".replace("%", " %") for ratio in ratios))
    chart = join([lines(axes, curves), legend([in_middle(name, _NAME) for name in curves])])
    drawn = figure(axes, chart, headings, rows)
    metrics = _metrics(within, ranked)
    return join([element("div", drawn, class_="charts"), metrics])


def _worst(group: Mapping[str, Any]) -> float:
    return max((cut["loss"] or 0.0 for cut in group["cuts"]), default=0.0)


def _curve(group: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Shares of the group with their losses, from nothing cut."""
    cuts = [(c["removed"] / group["size"], c["loss"]) for c in group["cuts"]]
    return [(0.0, 0.0), *sorted((x, y) for x, y in cuts if y is not None)]


def _loss(cut: Mapping[str, Any] | None) -> str:
    return shown(cut["loss"] if cut else None, share)


def _metrics(within: Mapping[str, Any], ranked: list[Mapping[str, Any]]) -> Markup:
    """What metrics are left at the deepest cut of each group."""
    names = listed(within, "metrics")
    if not names:
        return NOTHING
    rows = [(code(g["name"]), *(_score(g["cuts"][-1], name) for name in names)) for g in ranked]
    return element(
        "details",
        element("summary", "Metrics with each group cut the deepest"),
        table("Metrics with each group cut the deepest", ("group", *names), rows),
    )


def _score(cut: Mapping[str, Any], name: str) -> str:
    value = part(cut, "scores").get(name)
    return UNKNOWN if value is None else f"{value:.4g}"
