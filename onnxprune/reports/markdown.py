"""The record as Markdown: for a comment at a pull request, or the summary of a CI job.

What decides stands first; long lists are folded away, and cut where the text would become longer
than such places take.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from onnxprune.errors import CannotTellError
from onnxprune.reports.quantities import latency, rate, share
from onnxprune.reports.record import NOTHING_TO_PRUNE
from onnxprune.reports.rows import (
    comparison_rows,
    fidelity_rows,
    group_rows,
    layer_rows,
    metric_rows,
    sensitivity_rows,
)
from onnxprune.reports.terminal import reasons
from onnxprune.reports.verdicts import RUN, checks_of

MOST_BYTES = 60_000
"""A comment on GitHub takes 65,536 characters."""
_TEXT_SHOWN = 2_000
"""Longer texts are cut: causes come from other libraries."""

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>|#~$"} | {"&": "&amp;", "@": "&#64;"})
_FRAME_BYTES = 200
"""What stands around a table that is folded away, and below it."""
_GROUPS = ("group", "kind", "size", "kept", "removed")
_LAYERS = ("layer", "operator", "reads", "makes", "MACs", "change", "µs")
_MARKS = {"pass": "✅", "fail": "❌", "error": "❌", "cannot tell": "❔"}

Record = Mapping[str, Any]


def markdown(record: Record) -> str:
    """The record as GitHub-flavoured Markdown of at most `MOST_BYTES`.

    Args:
        record: of any command that makes reports.
    """
    parts = [_title(record), *_verdicts(record), *_tables(record)]
    tail = [*_notes(record), *_origins(record)]
    for fold in _folds(record):
        taken = sum(len(part.encode()) + 2 for part in (*parts, *tail))
        parts.append(fold(MOST_BYTES - taken))
    return _cut("\n\n".join(part for part in (*parts, *tail) if part) + "\n")


def _title(record: Record) -> str:
    inputs = record.get("provenance", {}).get("inputs", {})
    names = [
        _code(Path(inputs[side]["path"]).name)
        for side in ("original", "pruned", "candidate")
        if inputs.get(side, {}).get("path")
    ]
    status = str(record.get("verdict") or record.get("status", "done")).replace("-", " ")
    if record.get("error", {}).get("exit_code") == CannotTellError.exit_code:
        status = "cannot tell"
    return f"### onnxprune: {status}" + (f", {' → '.join(names)}" if names else "")


def _verdicts(record: Record) -> Iterator[str]:
    """A line for each check, and what went wrong."""
    lines: list[str] = []
    for check in checks_of(record):
        if check["name"] == RUN:  # the error says more
            continue
        said = f": {_text(check['said'])}" if check["said"] else ""
        mark = _MARKS[check["verdict"]]
        lines.append(f"- {mark} {_text(check['name'])}: **{check['verdict']}**{said}")
    yield _cut("\n".join(lines), MOST_BYTES // 3)
    error = record.get("error")
    if error is not None and "checks" not in record:
        known = [part for part in ("where", "why", "hint") if error.get(part)]
        parts = [f"- {part}: {_text(error[part])}" for part in known]
        yield "\n".join([f"**{_text(error['message'])}**", "", *parts])


def _tables(record: Record) -> Iterator[str]:
    """What is short enough to be seen at once."""
    if "original" in record and "pruned" in record and record.get("status") != NOTHING_TO_PRUNE:
        yield _table(("", "original", "pruned", "change"), comparison_rows(record))
    if record.get("metrics") and "measured_on" in record:
        heading = f"metric, on {record['measured_on']['samples']} samples"
        headings = (heading, "original", "pruned", "difference", "95 % interval")
        yield _table(headings, metric_rows(record["metrics"]))
    if record.get("fidelity"):
        on = record["measured_on"]
        what = "random inputs" if on["samples"] is None else f"{on['samples']} samples"
        columns = (f"fidelity, on {what}", "cosine", "SQNR, dB", "max abs", "top-1")
        yield _table(columns, fidelity_rows(record["fidelity"]), MOST_BYTES // 6)
        if on["warning"]:
            yield f"Warning: {_text(on['warning'])}"
    if "batches" in record:
        yield _table(("batch", "", "median", "p90", "p99", "per second"), _latency_rows(record))


def _latency_rows(record: Record) -> Iterator[tuple[str, ...]]:
    for entry in record["batches"]:
        for side in ("original", "pruned"):
            times = (latency(entry[side][key]) for key in ("latency_ms", "p90_ms", "p99_ms"))
            batch = "-" if entry["batch"] is None else str(entry["batch"])
            yield batch, side, *times, rate(entry[side]["throughput"])


def _folds(record: Record) -> Iterator[Callable[[int], str]]:
    """What is folded away, each part with the room that it may take."""
    blocked = record.get("blocked")
    if blocked:
        lines = [f"- {_text(line)}" for line in reasons(blocked)]
        total = share(sum(entry["parameters"] for entry in blocked))
        yield lambda room: _fold(f"Not prunable: {total} of parameters", "\n".join(lines), room)
    groups = [group for group in record.get("groups_list", ()) if not group["blocked"]]
    cut = group_rows(groups)
    if cut:
        title = f"Coupling groups: {len(cut)} cut of {len(groups)}"
        yield lambda room: _fold(title, _table(_GROUPS, cut, room // 2, left=2, names=1), room)
    layers = layer_rows(record.get("layers", ()))
    if layers:
        columns = len(_LAYERS) if any(row[-1] for row in layers) else len(_LAYERS) - 1
        shown = [row[:columns] for row in layers]
        table = partial(_table, _LAYERS[:columns], shown, left=2, names=1)
        yield lambda room: _fold("Layers", table(room), room)
    if "sensitivity" in record:
        found = record["sensitivity"]
        rows = [row[1:] for row in sensitivity_rows(found)]
        headings = ("group", "size", *(f"-{ratio:.0%}" for ratio in found["ratios"]))
        yield lambda room: _fold("Sensitivity", _table(headings, rows, room, names=1), room)


def _notes(record: Record) -> Iterator[str]:
    notes = [_text(f"Note: {note}") for note in record.get("notes", ())]
    if notes:
        yield _cut("\n\n".join(notes), MOST_BYTES // 12)


def _origins(record: Record) -> Iterator[str]:
    """The command and the versions."""
    if "command" in record:
        yield _cut(f"Command: {_code(shlex.join(record['command']))}", _TEXT_SHOWN)
    origins = record.get("provenance")
    if origins is None:
        return
    versions = (f"{name} {version}" for name, version in origins["versions"].items() if version)
    yield f"<sub>{_text(', '.join(versions))}</sub>"


def _table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    most: int = MOST_BYTES // 6,
    *,
    left: int = 1,
    names: int = 0,
) -> str:
    """A table; rows that find no room are counted, not listed.

    Args:
        headings: of the columns.
        rows: the cells.
        most: bytes that it may take.
        left: how many of the first columns are texts, and no numbers.
        names: how many of the first columns hold names.
    """
    marks = ["---"] * left + ["---:"] * (len(headings) - left)
    lines = [f"| {' | '.join(map(_text, headings))} |", f"|{'|'.join(marks)}|"]
    room, more = most - sum(map(len, lines)) - _FRAME_BYTES, 0
    for row in rows:
        cells = [_cell(cell) if place < names else _text(cell) for place, cell in enumerate(row)]
        line = f"| {' | '.join(cells)} |"
        room -= len(line.encode()) + 1
        if room < 0:
            more += 1
        else:
            lines.append(line)
    return "\n".join([*lines, *([f"\nand {more} more"] if more else [])])


def _fold(title: str, text: str, room: int) -> str:
    """A part that is closed at first; it is left out where there is no room at all."""
    fold = f"<details><summary>{escape(title)}</summary>\n\n{text}\n\n</details>"
    return fold if len(fold.encode()) <= room else ""


def _text(text: str) -> str:
    """A text on one line that says what it says: no Markdown, no HTML, no mentions."""
    short = text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]} …"
    return _printable(short).translate(_SPECIAL)


def _code(text: str) -> str:
    """A name or command as it is; the fence is longer than any run of backticks in it."""
    shown = _printable(text)
    fence = "`"
    while fence in shown:
        fence += "`"
    space = " " if "`" in shown else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _cell(text: str) -> str:
    """A name in a table, where a bar ends the cell even within code."""
    return _code(text).replace("|", "\\|")


def _printable(text: str) -> str:
    return " ".join("".join(x if x.isprintable() else " " for x in text).split())


def _cut(text: str, most: int = MOST_BYTES) -> str:
    """A text of at most so many bytes, in whole lines where it has several."""
    if len(text.encode()) <= most:
        return text
    short = text.encode()[: most - 8].decode(errors="ignore")
    return (short.rpartition("\n")[0] or short) + "\n…"
