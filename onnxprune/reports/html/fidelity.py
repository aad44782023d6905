"""How close the outputs stay to the original's, and the metrics of both models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from onnxprune.reports.html.charts import Axes, figure, histogram
from onnxprune.reports.html.markup import NOTHING, Markup, code, element, join, table
from onnxprune.reports.html.numbers import UNKNOWN, plural, short, shown
from onnxprune.reports.html.reading import at, listed, part
from onnxprune.reports.quantities import compact, count, share

HISTOGRAMS = 8
"""Of more outputs, the others have only their line in the table."""


def fidelity(record: Mapping[str, Any]) -> Markup:
    """Metrics, fidelity of each output, histograms of its errors."""
    outputs: Mapping[str, Any] = part(record, "fidelity")
    samples = at(record, "measured_on", "samples")
    on = "random inputs" if samples is None else plural(samples, "sample")
    charts = [_histogram(name, output) for name, output in list(outputs.items())[:HISTOGRAMS]]
    return join(
        [
            _metrics(part(record, "metrics"), on),
            _outputs(outputs, f"Fidelity to the original, on {on}"),
            _outputs(part(record, "quantization", "fidelity"), "Fidelity to the float model"),
            element("div", *charts, class_="charts") if any(charts) else NOTHING,
        ]
    )


def _metrics(metrics: Mapping[str, Any], on: str) -> Markup:
    rows = [
        (
            name,
            shown(score.get("original"), "{:.4g}".format),
            shown(score.get("pruned"), "{:.4g}".format),
            shown(at(score, "points", "difference"), "{:+.2f} points".format),
            _interval(score.get("points")),
        )
        for name, score in metrics.items()
    ]
    headings = ("metric", "original", "pruned", "difference", "95 % interval")
    return table(f"Metrics, on {on}", headings, rows) if rows else NOTHING


def _interval(points: Mapping[str, Any] | None) -> str:
    return f"{points['low']:+.2f} to {points['high']:+.2f}" if points else UNKNOWN


def _outputs(outputs: Mapping[str, Any], title: str) -> Markup:
    rows = [
        (
            code(name),
            shown(output.get("cosine"), "{:.4f}".format),
            shown(output.get("sqnr_db"), "{:.1f}".format),
            shown(output.get("max_abs"), "{:.3g}".format),
            shown(output.get("top1"), share),
            _doubts(output),
        )
        for name, output in outputs.items()
    ]
    headings = ("output", "cosine", "SQNR, dB", "max abs", "top-1", "note")
    return table(title, headings, rows) if rows else NOTHING


def _doubts(output: Mapping[str, Any]) -> str:
    said: list[str] = []
    if output.get("non_finite"):
        said.append(f"{count(output['non_finite'])} values are not finite any more")
    if not output.get("reacts", True):
        said.append("hardly reacts to these inputs: its fidelity says nothing")
    return "; ".join(said)


def _histogram(name: str, output: Mapping[str, Any]) -> Markup:
    edges: Sequence[float] = listed(output, "histogram", "edges")
    counts: Sequence[float] = listed(output, "histogram", "counts")
    total = sum(counts)
    if not total:
        return NOTHING
    text = (
        f"Absolute errors of {compact(total)} elements as shares of the output's standard "
        "deviation, in powers of ten: further left is closer."
    )
    title = f"Errors of {name}"
    axes = Axes(title, text, "error / standard deviation", "elements", _power, short, 5)
    rows = [
        (f"{_power(a)} to {_power(b)}", count(n))
        for (a, b), n in zip(pairwise(edges), counts, strict=True)
        if n
    ]
    return figure(axes, histogram(axes, edges, counts), ("error", "elements"), rows)


def _power(exponent: float) -> str:
    return f"{10.0**exponent:.3g}"
