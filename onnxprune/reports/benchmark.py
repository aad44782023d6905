"""Two models compared in speed, memory, loading, operators and providers: record and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from onnxprune.coupling.analysis import Analysis
from onnxprune.reports.layers import describe_layers
from onnxprune.reports.quantities import change, latency, rate, share, size
from onnxprune.reports.record import Record, describe_latency, describe_speedup, ratio
from onnxprune.reports.terminal import console, plain_table, print_speedup, room
from onnxprune.runtime import Load, Observation
from onnxprune.runtime.providers import CPU, operator_counts, parse_provider
from onnxprune.verify.speed import Latency, Speedup

OPERATORS_SHOWN = 12
"""More operator types than that are counted, not listed."""
_SIDES = ("original", "pruned")
_LETTERS = ("A", "B")

Pair = tuple[Observation, Observation]
"""The original and the pruned model, each by itself."""


def describe_batch(speedup: Speedup, load: Load, batch: int | None) -> Record:
    """A comparison of latencies at one batch size.

    Args:
        speedup: what was measured.
        load: how the models were loaded.
        batch: samples of a run; None where the model leaves no choice, and runs are counted.
    """
    return {
        "batch": batch,
        "original": _describe_times(speedup.original, batch),
        "pruned": _describe_times(speedup.pruned, batch),
        "speedup": describe_speedup(speedup, load.provider, load.threads),
    }


def _describe_times(times: Latency, batch: int | None) -> Record:
    """How long runs took; `throughput` is samples a second, or runs where `batch` is None."""
    return {**describe_latency(times), "throughput": (batch or 1) / times.p50_ms * 1e3}


def describe_observations(pair: Pair, load: Load) -> Record:
    """What each model takes by itself, for the record.

    Args:
        pair: both models.
        load: how they were loaded.
    """
    original, pruned = pair
    return {
        "optimization": load.optimization,
        "memory": {"original_bytes": original.memory_bytes, "pruned_bytes": pruned.memory_bytes},
        "load": {"original_ms": original.load_ms, "pruned_ms": pruned.load_ms},
        "profile": {
            "runs": [seen.profile.runs for seen in pair],
            "operators": _differences([seen.profile.by_operator for seen in pair], "operator"),
            "providers": _differences([seen.profile.by_provider for seen in pair], "provider"),
        },
        "providers": describe_providers(pair, load),
    }


def describe_times(analyses: tuple[Analysis, Analysis], pair: Pair) -> Record:
    """What each layer takes in both models, for the record.

    Args:
        analyses: of both models.
        pair: both models.
    """
    original, pruned = (seen.profile.kernels_us for seen in pair)
    return {"layers": describe_layers(*analyses, kernels=(original, pruned))}


def describe_providers(pair: Pair, load: Load) -> Record:
    """Which provider runs how many nodes, and what share of the time it takes.

    Args:
        pair: both models.
        load: how they were loaded.
    """
    placed = {side: _placement(seen) for side, seen in zip(_SIDES, pair, strict=True)}
    return {"asked": parse_provider(load.provider).name, **placed}


def _placement(seen: Observation) -> list[Record]:
    times = seen.profile.by_provider
    nodes = {name: sum(types.values()) for name, types in seen.operators.items()}
    total, total_ms = sum(nodes.values()), sum(times.values())
    return [
        {
            "provider": name,
            "nodes": nodes.get(name, 0),
            "node_share": ratio(nodes.get(name, 0), total),
            "time_ms": times.get(name, 0.0),
            "time_share": ratio(times.get(name, 0.0), total_ms),
            "operators": dict(seen.operators.get(name, {})),
        }
        for name in sorted(nodes.keys() | times.keys(), key=lambda name: -nodes.get(name, 0))
    ]


def _differences(times_ms: Sequence[Mapping[str, float]], what: str) -> list[Record]:
    """Times of both models by name, the biggest difference first."""
    before, after = times_ms
    entries = [
        {
            what: name,
            "original_ms": before.get(name, 0.0),
            "pruned_ms": after.get(name, 0.0),
            "difference_ms": after.get(name, 0.0) - before.get(name, 0.0),
        }
        for name in sorted(before.keys() | after.keys())
    ]
    return sorted(entries, key=lambda entry: -abs(entry["difference_ms"]))


def print_benchmark(
    record: Mapping[str, Any], file: IO[str], names: tuple[str, str], profile: bool = False
) -> None:
    """Print a comparison of two models.

    Args:
        record: with `batches`, `memory`, `load`, `profile`, `providers`.
        file: where to print it.
        names: what the models A and B are.
        profile: whether to list operators.
    """
    out = console(file)
    batches = record["batches"]
    out.print(_latencies(batches, names, room(out, 30)), "")
    out.print(_resources(record), "")
    if profile:
        out.print(_profile(record["profile"]), "")
    print_providers(out, record["providers"], _LETTERS)
    for entry in batches:
        print_speedup(out, entry["speedup"], f", batch {entry['batch']}" if batches[1:] else "")


def _latencies(batches: Sequence[Mapping[str, Any]], names: tuple[str, str], width: int) -> Table:
    table = plain_table()
    fixed = batches[0]["batch"] is None
    if not fixed:
        table.add_column("batch", justify="right")
    table.add_column("", overflow="fold", max_width=width)
    for heading in ("median", "p90", "p99", "runs/s" if fixed else "samples/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in batches:
        for letter, name, side in zip(_LETTERS, names, _SIDES, strict=True):
            times = [latency(entry[side][key]) for key in ("latency_ms", "p90_ms", "p99_ms")]
            batch = [] if fixed else [str(entry["batch"]) if side == "original" else ""]
            throughput = rate(entry[side]["throughput"])
            table.add_row(*batch, f"{letter}: {name}", *times, throughput)
    return table


def _resources(record: Mapping[str, Any]) -> Table:
    table = _beside("each by itself", (*_LETTERS, "change"))
    load, memory = record["load"], record["memory"]
    times = load["original_ms"], load["pruned_ms"]
    table.add_row("to create a session", *map(latency, times), change(*times))
    peaks = memory["original_bytes"], memory["pruned_bytes"]
    shown = ("unknown" if peak is None else size(peak) for peak in peaks)
    table.add_row("memory of the host at its peak", *shown, change(*peaks))
    return table


def _profile(profile: Mapping[str, Any]) -> Table:
    """What operators take in both models, the biggest difference first."""
    table = _beside("operator, ms of a run", (*_LETTERS, "difference"))
    listed, rest = (
        profile["operators"][:OPERATORS_SHOWN],
        profile["operators"][OPERATORS_SHOWN:],
    )
    for entry in listed:
        table.add_row(entry["operator"], *_times(entry))
    if rest:
        keys = ("original_ms", "pruned_ms", "difference_ms")
        table.add_row(
            f"{len(rest)} more", *_times({key: sum(entry[key] for entry in rest) for key in keys})
        )
    for entry in profile["providers"]:
        table.add_row(f"all on {entry['provider']}", *_times(entry))
    return table


def _times(entry: Mapping[str, float]) -> tuple[str, str, str]:
    before, after, difference = (
        entry[key] for key in ("original_ms", "pruned_ms", "difference_ms")
    )
    return f"{before:,.4f}", f"{after:,.4f}", f"{difference:+,.4f}"


def print_providers(
    out: Console, providers: Mapping[str, Any], names: tuple[str, str] = _SIDES
) -> None:
    """Print which share of nodes and time fell back; nothing where only the CPU was asked for.

    Args:
        out: where to print it.
        providers: what `describe_providers` made.
        names: what to call the models.
    """
    asked = providers["asked"]
    rows = {side: {entry["provider"]: entry for entry in providers[side]} for side in _SIDES}
    found = list(dict.fromkeys(name for side in _SIDES for name in rows[side]))
    if found == [asked]:
        if asked != CPU:
            out.print(f"{asked} runs every node of both.")
        return
    table = plain_table()
    table.add_column("runs on", overflow="fold", max_width=32)
    for name in names:
        table.add_column(f"nodes, {name}", justify="right")
        table.add_column("time", justify="right")
    for provider in found:
        table.add_row(provider, *(t for side in _SIDES for t in _part(rows[side].get(provider))))
    out.print(table, "")
    for name, side in zip(names, _SIDES, strict=True):
        for provider, entry in rows[side].items():
            if provider != asked and entry["operators"]:
                fallen = operator_counts(entry["operators"])
                out.print(f"Fell back to {provider} in {name}: {fallen}.", style="yellow")


def _part(entry: Mapping[str, Any] | None) -> tuple[str, str]:
    if entry is None:
        return "-", "-"
    return f"{entry['nodes']} ({share(entry['node_share'])})", share(entry["time_share"])


def _beside(first: str, headings: Sequence[str]) -> Table:
    """An empty table of both models and how they differ."""
    table = plain_table()
    table.add_column(first, overflow="fold", max_width=34)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
