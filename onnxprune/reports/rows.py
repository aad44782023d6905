"""Parts of the record as rows of text, for every report that has tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from onnxprune.reports.quantities import change, count, latency, share, size

Row = tuple[str, ...]


def comparison_rows(record: Mapping[str, Any]) -> Iterator[Row]:
    """What is counted, original, pruned, change; what neither has is left out.

    Args:
        record: with `original` and `pruned`.
    """
    one = "one sample" if record.get("macs_at") else "one run"
    rows = (
        ("parameters", "parameters", count),
        (f"MACs, {one}", "macs", count),
        ("file size", "size_bytes", size),
        ("operators", "nodes", count),
        ("opset", "opset", str),
        ("latency, median", "latency_ms", latency),
    )
    for label, key, show in rows:
        before, after = record["original"].get(key), record["pruned"].get(key)
        if before is None and after is None:
            continue
        texts = ["-" if value is None else show(value) for value in (before, after)]
        yield (label, *texts, "" if key == "opset" else change(before, after))


def metric_rows(metrics: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """Metric, original, pruned, difference, interval."""
    for name, score in metrics.items():
        points, before, after = score["points"], score["original"], score["pruned"]
        if points is not None:
            moved, low, high = (f"{points[key]:+.2f}" for key in ("difference", "low", "high"))
            yield name, share(before), share(after), f"{moved} points", f"{low} to {high}"
        elif before is not None:
            yield name, f"{before:#.4g}", f"{after:#.4g}", f"{after - before:+#.3g}", ""
        else:
            yield name, "", f"{after:#.4g}", "", ""


def fidelity_rows(outputs: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Output, cosine, signal to noise in decibels, largest difference, top-1."""
    return [
        (
            name,
            f"{output['cosine']:.4f}",
            f"{output['sqnr_db']:.1f}",
            f"{output['max_abs']:.3g}",
            "-" if output.get("top1") is None else share(output["top1"]),
        )
        for name, output in outputs.items()
    ]


def group_rows(groups: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Group, kind, size, kept, share that is gone; those that lost most come first."""
    cut = sorted((g for g in groups if g["kept"] < g["size"]), key=lambda g: g["kept"] / g["size"])
    return [
        (g["name"], g["kind"], count(g["size"]), count(g["kept"]), share(1 - g["kept"] / g["size"]))
        for g in cut
    ]


def layer_rows(layers: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Layer, operator, channels read, made, MACs, change, microseconds; in graph order.

    The last is empty where it is not known of both models.
    """
    return [
        (
            layer["node"],
            layer["op_type"],
            *(_arrow(layer, key) for key in ("inputs", "outputs", "macs")),
            change(layer["before"]["macs"], _after(layer, "macs")),
            _times(layer),
        )
        for layer in layers
    ]


def sensitivity_rows(found: Mapping[str, Any], metric: str = "") -> list[Row]:
    """Number, group, size, and what is lost with each ratio of it; the most sensitive first.

    Args:
        found: with `ratios` and `groups`.
        metric: what to show instead of the loss, if anything.
    """
    ranked = sorted(found["groups"], key=lambda e: -max((c["loss"] for c in e["cuts"]), default=0))
    return [
        (
            str(entry["index"]),
            entry["name"],
            str(entry["size"]),
            *(_lost(cut, metric) for cut in cuts_by_ratio(entry, found["ratios"])),
        )
        for entry in ranked
    ]


def cuts_by_ratio(group: Mapping[str, Any], ratios: Iterable[float]) -> Iterator[Any]:
    """The cut of a group that belongs to each ratio; None where it is no index."""
    cuts = {cut["removed"]: cut for cut in group["cuts"]}
    return (cuts.get(round(group["size"] * ratio)) for ratio in ratios)


def _lost(cut: Mapping[str, Any] | None, metric: str) -> str:
    if cut is None:
        return "-"
    return share(cut["scores"][metric] if metric else cut["loss"])


def _after(layer: Mapping[str, Any], key: str) -> float:
    return layer["after"][key] if layer["after"] else 0


def _times(layer: Mapping[str, Any]) -> str:
    times = layer["before"]["latency_us"], _after(layer, "latency_us")
    return "" if None in times else " → ".join(count(time_us) for time_us in times)


def _arrow(layer: Mapping[str, Any], key: str) -> str:
    """A number before and after, once where it stayed."""
    before, after = layer["before"][key], _after(layer, key)
    return count(before) if before == after else f"{count(before)} → {count(after)}"
