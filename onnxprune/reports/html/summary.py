"""What a reader wants first: the verdicts, what became of the model, and what to mind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnxprune.reports.html.charts import share_bar
from onnxprune.reports.html.markup import NOTHING, Markup, element, fact_list, join, table
from onnxprune.reports.html.numbers import UNKNOWN, plural, shown
from onnxprune.reports.html.reading import at, listed, part, text_at
from onnxprune.reports.quantities import change, compact, count, latency, share, size
from onnxprune.reports.record import NOTHING_TO_PRUNE
from onnxprune.reports.terminal import speedup_sentence

_GOOD = frozenset({"pruned", "passed", "pass", "faster", "compared", "measured", "studied", "done"})
_BAD = frozenset({"failed", "fail", "slower"})
_MARKS = {"good": "✓ ", "bad": "✕ ", "open": "? ", "plain": ""}
"""Verdicts differ in more than their colour."""


def summary(record: Mapping[str, Any]) -> Markup:
    """Verdicts, errors, original beside pruned, warnings."""
    verdicts = [
        element("li", chip(word, kind), element("span", element("b", what), " ", said))
        for what, word, said, kind in _verdicts(record)
    ]
    return join(
        [
            element("ul", *verdicts, class_="verdicts") if verdicts else NOTHING,
            _error(record.get("error")),
            _comparison(record),
            _structure(record.get("structure")),
            _facts(record),
            _notes(record),
        ]
    )


def chip(word: str, kind: str = "") -> Markup:
    """A verdict as a word with a mark.

    Args:
        word: the verdict.
        kind: ``good``, ``bad``, ``open``, or ``plain`` for what is none; else the word says it.
    """
    found = kind or ("good" if word in _GOOD else "bad" if word in _BAD else "open")
    mark = element("span", _MARKS[found], aria_hidden="true")
    return element("span", mark, word, class_=f"chip {found}")


def _verdicts(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """What is judged, the verdict, what it rests on, and how to colour it."""
    if record.get("status"):
        yield "Run", str(record["status"]).replace("-", " "), _reach(record), ""
    if record.get("verdict"):
        checks = listed(record, "checks")
        passed = sum(check["verdict"] == "pass" for check in checks)
        yield "Gate", record["verdict"], f"{passed} of {plural(len(checks), 'check')} pass", ""
    proof = record.get("equivalence")
    if proof:
        yield "Equivalence", proof["verdict"], _proof(proof), ""
    speedup = record.get("speedup")
    if speedup:
        on = f"{speedup['provider']}, {plural(speedup['pairs'], 'pair')} of runs"
        yield "Speed", speedup["verdict"], f"{speedup_sentence(speedup)}; {on}", ""
    for name, score in part(record, "metrics").items():
        yield name, *_metric(score)


def _reach(record: Mapping[str, Any]) -> str:
    """How much was pruned."""
    groups, blocks = record.get("groups"), record.get("blocks")
    said: list[str] = []
    if isinstance(groups, Mapping):
        said.append(f"{at(record, 'groups', 'pruned')} of {at(record, 'groups', 'total')} groups")
    if blocks and record.get("status") == "pruned":
        said.append(f"{plural(len(blocks), 'residual block')} removed")
    return ", ".join(said)


def _proof(proof: Mapping[str, Any]) -> str:
    if not proof.get("compared"):
        return text_at(proof, "why")
    deviation, tolerance = proof["max_rel"], proof["tolerance"]
    said = (
        f"{plural(proof['compared'], 'tensor')} compared with the masked original, "
        f"{count(proof['reacting'])} of them react; largest deviation "
        f"{shown(deviation, '{:.1e}'.format)} (tolerance {shown(tolerance, '{:.0e}'.format)})"
    )
    return f"{said}; {proof['why']}" if proof.get("why") else said


def _metric(score: Mapping[str, Any]) -> tuple[str, str, str]:
    """A metric's verdict: lower only where the whole interval says so."""
    points, before, after = (score.get(key) for key in ("points", "original", "pruned"))
    if not points or before is None or after is None:
        new = shown(after, "{:.4g}".format)
        return new, "" if before is None else f"{before:.4g} before, {new} after", "plain"
    low, high = points["low"], points["high"]
    word, kind = "no clear change", "open"
    if low > 0 or high < 0:
        word, kind = ("higher", "good") if low > 0 else ("lower", "bad")
    said = (
        f"{share(before)} before, {share(after)} after: {points['difference']:+.2f} points "
        f"(95 % interval {low:+.2f} to {high:+.2f})"
    )
    return word, said, kind


def _error(error: Mapping[str, Any] | None) -> Markup:
    """What went wrong, where, why, and what to do."""
    if not error:
        return NOTHING
    facts = {
        "Where": text_at(error, "where"),
        "Why": text_at(error, "why"),
        "What to do": text_at(error, "hint"),
        "Exit code": str(error.get("exit_code", "")),
    }
    said = element("p", element("strong", error.get("message") or "it failed"))
    return element("div", said, fact_list(facts), class_="box error")


def _comparison(record: Mapping[str, Any]) -> Markup:
    """Original beside pruned, with a bar of what is left; nothing where nothing was pruned."""
    if record.get("status") == NOTHING_TO_PRUNE:
        return NOTHING
    one = "one sample" if record.get("macs_at") else "one run"
    rows = [
        _compared(label, at(record, "original", key), at(record, "pruned", key), show)
        for label, key, show in (
            ("Parameters", "parameters", count),
            (f"MACs, {one}", "macs", compact),
            ("File size", "size_bytes", size),
            ("Operators", "nodes", count),
            ("Latency, median", "latency_ms", latency),
        )
    ]
    known = [row for row in rows if set(row[1:3]) != {UNKNOWN}]
    if not known:
        return NOTHING
    headings = ("", "original", "pruned", "change", "left")
    return table("Original beside pruned", headings, known)


def _compared(label: str, before: Any, after: Any, show: Any) -> tuple[str, str, str, str, str]:
    bar = share_bar(after / before) if before and after is not None else NOTHING
    return label, shown(before, show), shown(after, show), change(before, after), bar


def _structure(structure: Mapping[str, Any] | None) -> Markup:
    """How two files differ."""
    if not structure:
        return NOTHING
    weights = part(structure, "weights")
    facts = {"Weights": ", ".join(f"{count(weights[kind])} {kind}" for kind in sorted(weights))}
    for what, key in (("Operators", "operators"), ("Opset", "versions"), ("Ports", "ports")):
        facts[what] = "; ".join(
            f"{entry['name']}: {entry['before'] or 'none'} → {entry['after'] or 'none'}"
            for entry in listed(structure, key)
        )
    facts["Metadata lost"] = ", ".join(listed(structure, "metadata_lost"))
    return fact_list(facts)


def _facts(record: Mapping[str, Any]) -> Markup:
    repair, zeros, quantized = (record.get(k) for k in ("repair", "sparsity", "quantization"))
    facts: dict[str, str] = {}
    if repair:
        before, after = (shown(at(repair, "deviation", k), share) for k in ("before", "after"))
        facts["Repair"] = (
            f"{plural(repair['layers'], 'layer')} fitted to {plural(repair['samples'], 'sample')}; "
            f"squared deviation of the outputs {before} → {after}"
        )
    if zeros:
        facts["Zeros"] = (
            f"{count(zeros['zeros'])} of {count(zeros['weights'])} weights "
            f"in {plural(zeros['layers'], 'layer')}, by {zeros['method']}"
        )
    if quantized:
        before = shown(at(quantized, "float", "size_bytes"), size)
        facts["Quantized"] = f"from {before} of the float model, which the proof is about"
    names = [name for name in listed(record, "blocks") if isinstance(name, str)]
    facts["Residual blocks removed"] = ", ".join(names)
    return fact_list(facts)


def _notes(record: Mapping[str, Any]) -> Markup:
    """What to mind when reading."""
    warning = at(record, "measured_on", "warning")
    said = [*([f"Warning: {warning}"] if warning else []), *(listed(record, "notes"))]
    said += [
        f"{port['name']}: axis {port['axis']} keeps {len(port['kept'])}"
        for port in listed(record, "io")
    ]
    said += [
        f"Unknown operator {operator}, {plural(len(nodes), 'node')}: what it touches is left alone"
        for operator, nodes in part(record, "unknown").items()
    ]
    return (
        element("ul", *(element("li", each) for each in said), class_="notes") if said else NOTHING
    )
