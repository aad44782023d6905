"""How fast both models are: paired ratios, batches, memory, operators, providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from onnxprune.reports.html.charts import Axes, figure, histogram
from onnxprune.reports.html.markup import NOTHING, Markup, element, join, table
from onnxprune.reports.html.numbers import plural, shown
from onnxprune.reports.html.reading import at, listed, part
from onnxprune.reports.quantities import change, count, latency, rate, share, size
from onnxprune.reports.terminal import speedup_sentence

_BINS = 40
_FENCE = 3
"""Ratios further from the quartiles than so many times their distance are drawn at the edge."""
_SIDES = ("original", "pruned")


def speed(record: Mapping[str, Any]) -> Markup:
    """What was measured of latencies."""
    batches: Sequence[Mapping[str, Any]] = listed(record, "batches")
    entries = [(f", batch {b['batch']}" if batches[1:] else "", b["speedup"]) for b in batches]
    entries = entries or [("", part(record, "speedup"))]
    charts = [_ratios(of, found) for of, found in entries]
    shown_charts = element("div", *charts, class_="charts") if any(charts) else NOTHING
    return join(
        [shown_charts, _batches(batches), _resources(record), _operators(record), _placed(record)]
    )


def _ratios(of: str, found: Mapping[str, Any]) -> Markup:
    """The distribution of paired ratios; 1 is as fast as the original."""
    ratios = [ratio for ratio in listed(found, "ratios") if ratio is not None]
    if not ratios:
        return NOTHING
    first, third = np.percentile(ratios, (25, 75))
    beyond = _FENCE * max(third - first, 0.01)
    low, high = max(first - beyond, min(ratios)) - 0.01, min(third + beyond, max(ratios)) + 0.01
    counts, edges = np.histogram(np.clip(ratios, low, high), _BINS, (low, high))
    text = (
        f"{_pairs(len(ratios), found)}, original / pruned: above 1 the pruned model is faster. "
        f"{speedup_sentence(found).capitalize()}. The outermost columns hold what lies beyond."
    )
    title = f"Paired latency ratios{of}"
    axes = Axes(title, text, "ratio of latencies", "pairs", "{:.3g}".format, "{:.3g}".format)
    chart = histogram(axes, edges.tolist(), counts.tolist())
    rows = [
        (f"{a:.3f} to {b:.3f}", count(n))
        for (a, b), n in zip(pairwise(edges.tolist()), counts.tolist(), strict=True)
        if n
    ]
    return figure(axes, chart, ("ratio", "pairs"), rows)


def _pairs(drawn: int, found: Mapping[str, Any]) -> str:
    """How many pairs are drawn, and of how many: a record holds some of many."""
    measured = found.get("pairs") or drawn
    said = plural(measured, "pair") + " of runs"
    return said if drawn == measured else f"{drawn:,} of {said}"


def _batches(batches: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [
        (
            f"{'run' if entry['batch'] is None else entry['batch']}, {side}",
            *(latency(entry[side][key]) for key in ("latency_ms", "p90_ms", "p99_ms")),
            rate(entry[side]["throughput"]),
            speedup_sentence(entry["speedup"]) if side == "pruned" else "",
        )
        for entry in batches
        for side in _SIDES
    ]
    headings = ("batch", "median", "p90", "p99", "a second", "verdict")
    return table("Latency by batch size", headings, rows) if rows else NOTHING


def _resources(record: Mapping[str, Any]) -> Markup:
    rows: list[Sequence[str]] = []
    for label, key, unit, show in (
        ("To create a session", "load", "ms", latency),
        ("Memory of the host at its peak", "memory", "bytes", size),
    ):
        before, after = (at(record, key, f"{side}_{unit}") for side in _SIDES)
        if before is not None or after is not None:
            rows.append((label, shown(before, show), shown(after, show), change(before, after)))
    return table("Each by itself", ("", *_SIDES, "change"), rows) if rows else NOTHING


def _operators(record: Mapping[str, Any]) -> Markup:
    """What operators take in both models, the biggest difference first."""
    rows = [
        (
            entry["operator"],
            *(f"{entry[key]:.4g}" for key in ("original_ms", "pruned_ms")),
            f"{entry['difference_ms']:+.4g}",
        )
        for entry in listed(record, "profile", "operators")
    ]
    headings = ("operator", "original, ms", "pruned, ms", "difference")
    return table("Time by operator type", headings, rows) if rows else NOTHING


def _placed(record: Mapping[str, Any]) -> Markup:
    rows = [
        (entry["provider"], side, count(entry["nodes"]), share(entry["time_share"]))
        for side in _SIDES
        for entry in listed(record, "providers", side)
    ]
    headings = ("provider", "model", "nodes", "share of time")
    return table("What runs where", headings, rows, numbers=2) if rows else NOTHING
