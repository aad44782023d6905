"""The record as text for people: tables of at most 80 columns, coloured on a terminal only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnxprune.reports.quantities import change, compact, count, latency, share, size

WIDTH = 80
"""Reports are never wider, so that they fit a standard terminal and a pasted message."""
REASONS_SHOWN = 6
"""More reasons than that are counted, not listed."""
OUTPUTS_SHOWN = 8
"""More outputs than that are counted, not listed."""

_VERDICT_STYLES = {"passed": "green", "faster": "green", "failed": "red", "slower": "red"}


def console(file: IO[str]) -> Console:
    """A console for reports; it colours only on a terminal, and not where `NO_COLOR` is set."""
    made = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=False)
    made.width = min(made.width, WIDTH) if made.is_terminal else WIDTH
    return made


def print_record(record: Mapping[str, Any], file: IO[str], title: str = "") -> None:
    """Print the record of a run.

    Args:
        record: the record, as `onnxprune.reports.record` makes it.
        file: where to print it.
        title: a line above the table.
    """
    out = console(file)
    if title:
        out.print(title, style="bold")
    out.print(comparison(record), "")
    print_groups(out, record)
    print_io(out, record.get("io", ()))
    if "repair" in record:
        print_repair(out, record["repair"])
    if "sparsity" in record:
        print_zeros(out, record)
    if "equivalence" in record:
        print_equivalence(out, record["equivalence"])
    if "measured_on" in record:
        print_judgement(out, record)
    if "quantization" in record:
        print_quantization(out, record)
    if "speedup" in record:
        print_speedup(out, record["speedup"])
    for note in record.get("notes", ()):
        out.print(f"Note: {note}")


def print_repair(out: Console, repair: Mapping[str, Any]) -> None:
    """Print what fitting the weights anew did."""
    before, after = (share(repair["deviation"][key]) for key in ("before", "after"))
    out.print(
        f"Repair: {repair['layers']} layers fitted to {repair['samples']:,} samples; the outputs' "
        f"squared deviation from the original's went from {before} to {after}."
    )


def print_zeros(out: Console, record: Mapping[str, Any]) -> None:
    """Print how many weights were made zero, and what that is good for."""
    found, packed = record["sparsity"], record["sparsity"]["compressed_bytes"]
    text = (
        f"Zeros: {share(found['zeros'] / found['weights'])} of {compact(found['weights'])} weights "
        f"in {found['layers']} layers, by {found['method']}"
    )
    if found["deviation"] is not None:
        text += (
            f"; the outputs' squared deviation from the original's is {share(found['deviation'])} "
            f"on {found['samples']:,} samples"
        )
    out.print(text + ". The proof is about all but them.")
    smaller = "" if packed is None else f" (here to {size(packed)})"
    out.print(
        f"Zeros make the file compress better{smaller}, not the model faster: `onnxprune inspect "
        "--sparsity` says what each execution provider makes of them."
    )


def comparison(record: Mapping[str, Any]) -> Table:
    """Original beside pruned."""
    table = plain_table()
    table.add_column("")
    for heading in ("original", "pruned", "change"):
        table.add_column(heading, justify="right")
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
        table.add_row(label, *texts, "" if key == "opset" else change(before, after))
    return table


def plain_table() -> Table:
    """An empty table in the reports' style."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")


def print_equivalence(out: Console, verdict: Mapping[str, Any]) -> None:
    """Print what the comparison with the masked reference showed."""
    word = verdict["verdict"]
    text = Text("Equivalence: ").append(word, style=_VERDICT_STYLES.get(word, "yellow"))
    if verdict["compared"]:
        text.append(
            f"; {count(verdict['compared'])} tensors compared with the masked original, "
            f"{count(verdict['reacting'])} of them react to the input; largest deviation "
            f"{verdict['max_rel']:.1e} of a tensor's variation "
            f"(tolerance {verdict['tolerance']:.0e})"
        )
    out.print(text)
    if verdict["why"]:
        out.print(f"  {verdict['why']}")


def print_structure(out: Console, structure: Mapping[str, Any]) -> None:
    """Print how the files differ."""
    weights = structure["weights"]
    words = ", ".join(f"{count(weights[kind])} {kind}" for kind in sorted(weights)) or "none"
    out.print(f"Structure: weights: {words}.")
    for what, key in (("operators", "operators"), ("opset", "versions"), ("", "ports")):
        for entry in structure[key]:
            before, after = (entry[side] or "none" for side in ("before", "after"))
            out.print(f"  {what} {entry['name']}: {before} -> {after}".replace("   ", "  "))
    if structure["metadata_lost"]:
        out.print(f"  Metadata lost or changed: {', '.join(structure['metadata_lost'])}.")


def print_judgement(out: Console, record: Mapping[str, Any]) -> None:
    """Print how the pruned model compares with the original, and on what that was measured.

    Args:
        out: where to print it.
        record: with `measured_on`, `fidelity` and perhaps `metrics`.
    """
    on = record["measured_on"]
    samples = "random inputs" if on["samples"] is None else _samples(on["samples"])
    out.print("")
    if record.get("metrics"):
        out.print(_metrics(record["metrics"], samples), "")
    if record["fidelity"]:
        out.print(_fidelity(record["fidelity"], f"fidelity, on {samples}"))
    if len(record["fidelity"]) > OUTPUTS_SHOWN:
        out.print(f"  and {len(record['fidelity']) - OUTPUTS_SHOWN} more outputs")
    for name, output in record["fidelity"].items():
        if output["non_finite"]:
            out.print(f"  {count(output['non_finite'])} values are not finite any more: {name}")
        if not output.get("reacts", True):
            out.print(f"  {name} hardly reacts to these inputs: its fidelity says nothing")
    if on["dropped"]:
        out.print(f"Left over, too few for a batch: {_samples(on['dropped'])}.")
    if on["warning"]:
        out.print(f"Warning: {on['warning']}", style="yellow")
    out.print("")


def print_quantization(out: Console, record: Mapping[str, Any]) -> None:
    """Print what quantization did to the float model, apart from what pruning did.

    Args:
        out: where to print it.
        record: with `quantization`.
    """
    found = record["quantization"]
    sizes = (record["pruned"]["size_bytes"], found["float"]["size_bytes"])
    after, before = ("?" if number is None else size(number) for number in sizes)
    out.print(f"Quantized: {after}, from {before} of the float model, which the proof is about.")
    if found["fidelity"]:
        out.print(_fidelity(found["fidelity"], "fidelity to the float model"))
    out.print("")


def _samples(number: int) -> str:
    return "1 sample" if number == 1 else f"{count(number)} samples"


def _metrics(metrics: Mapping[str, Mapping[str, Any]], samples: str) -> Table:
    table = plain_table()
    table.add_column(f"metric, on {samples}", overflow="fold", max_width=26)
    for heading in ("original", "pruned", "difference", "95 % interval"):
        table.add_column(heading, justify="right")
    for name, score in metrics.items():
        points, before, after = score["points"], score["original"], score["pruned"]
        if points is not None:
            change, low, high = (f"{points[key]:+.2f}" for key in ("difference", "low", "high"))
            row = (share(before), share(after), f"{change} points", f"{low} to {high}")
        elif before is not None:
            row = (f"{before:#.4g}", f"{after:#.4g}", f"{after - before:+#.3g}", "")
        else:
            row = ("", f"{after:#.4g}", "", "")
        table.add_row(name, *row)
    return table


def _fidelity(outputs: Mapping[str, Mapping[str, Any]], title: str) -> Table:
    table = plain_table()
    table.add_column(title, overflow="fold", max_width=36)
    for heading in ("cosine", "SQNR, dB", "max abs", "top-1"):
        table.add_column(heading, justify="right")
    for name, output in list(outputs.items())[:OUTPUTS_SHOWN]:
        top1 = output.get("top1")
        table.add_row(
            name,
            f"{output['cosine']:.4f}",
            f"{output['sqnr_db']:.1f}",
            f"{output['max_abs']:.3g}",
            "-" if top1 is None else share(top1),
        )
    return table


def print_speedup(out: Console, speedup: Mapping[str, Any], of: str = "") -> None:
    """Print the verdict of a latency measurement; `of` says which, where there are several."""
    style = _VERDICT_STYLES.get(speedup["verdict"], "yellow")
    threads = "1 thread" if speedup["threads"] == 1 else f"{speedup['threads'] or 'all'} threads"
    out.print(
        Text(f"Speed{of}: ")
        .append(speedup_sentence(speedup), style=style)
        .append(f"; {speedup['provider']}, {threads}, {count(speedup['pairs'])} pairs of runs")
    )


def speedup_sentence(speedup: Mapping[str, Any]) -> str:
    """Such as ``1.90x faster (1.89-1.92)``."""
    middle, low, high = speedup["ratio"], speedup["low"], speedup["high"]
    if speedup["verdict"] == "slower":
        return f"{1 / middle:.2f}x slower ({1 / high:.2f}-{1 / low:.2f})"
    if speedup["verdict"] == "faster":
        return f"{middle:.2f}x faster ({low:.2f}-{high:.2f})"
    noise_low, noise_high = speedup["noise"]
    return (
        f"cannot tell: a ratio of {middle:.3f} ({low:.3f}-{high:.3f}), while the original "
        f"against itself gives {noise_low:.3f}-{noise_high:.3f}"
    )


def reasons(blocked: Iterable[Mapping[str, Any]]) -> list[str]:
    """What was left alone, grouped by reason, largest first, the small ones only counted.

    Args:
        blocked: entries with `reason`, `node` and `parameters` (a share).
    """
    shares: dict[str, float] = {}
    places: dict[str, list[str]] = {}
    for entry in blocked:
        shares[entry["reason"]] = shares.get(entry["reason"], 0.0) + entry["parameters"]
        places.setdefault(entry["reason"], []).append(entry["node"])
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    lines: list[str] = []
    for reason, part in ranked[:REASONS_SHOWN]:
        lines.append(f"{share(part):>7}  {reason}{_at(places[reason])}")
    if len(ranked) > REASONS_SHOWN:
        rest = sum(part for _, part in ranked[REASONS_SHOWN:])
        lines.append(f"{share(rest):>7}  and {len(ranked) - REASONS_SHOWN} more reasons")
    return lines


def _at(nodes: list[str]) -> str:
    named = [node for node in nodes if node]
    if not named:
        return ""
    return f" (at {named[0]}" + (f" and {len(named) - 1} more)" if len(named) > 1 else ")")


def print_groups(out: Console, record: Mapping[str, Any]) -> None:
    """Print how many groups there are and what is out of reach."""
    groups, prunable, blocks = record["groups"], record["prunable"], record["blocks"]
    if blocks:
        plural = "s" if len(blocks) > 1 else ""
        out.print(f"Removed {len(blocks)} residual block{plural}: {', '.join(blocks)}.")
    if groups["total"] and (groups["pruned"] or not (blocks or "sparsity" in record)):
        offered = (
            f"; those offered touch {share(prunable['parameters'])} of parameters, "
            f"{share(prunable['macs'])} of MACs"
        )
        told = offered if prunable["macs"] or "sparsity" not in record else ""
        out.print(f"Pruned {groups['pruned']} of {groups['total']} coupling groups{told}.")
    print_blocked(out, record["blocked"])
    print_unknown(out, record.get("unknown", {}))


def print_io(out: Console, ports: Iterable[Mapping[str, Any]]) -> None:
    """Print which inputs and outputs have fewer channels now."""
    for port in ports:
        kept = len(port["kept"])
        out.print(f"Input or output {port['name']} changed: axis {port['axis']} keeps {kept}.")


def print_unknown(out: Console, unknown: Mapping[str, Sequence[str]]) -> None:
    """Print which operators nothing is known of."""
    for operator, nodes in unknown.items():
        times = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
        out.print(f"Unknown operator {operator}, {times}: what it touches is left alone.")


def print_blocked(out: Console, blocked: Iterable[Mapping[str, Any]]) -> None:
    """Print what is out of reach, grouped by reason."""
    lines = reasons(blocked)
    if lines:
        out.print("Not prunable, by share of parameters:")
        out.print(*(f"  {line}" for line in lines), sep="\n")
