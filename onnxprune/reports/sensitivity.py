"""What `sensitivity` shows: a line for each group, the most sensitive first, and a plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import IO, Any

from onnxprune.pipelines.sensitivity import Sensitivity
from onnxprune.reports.quantities import share
from onnxprune.reports.record import SCHEMA, Record
from onnxprune.reports.rows import cuts_by_ratio, sensitivity_rows
from onnxprune.reports.terminal import console, plain_table, room, shortened

GROUPS_SHOWN = 40
"""More groups than that are counted; `--json` has them all."""
_NAME_SHOWN = 32

_ROW, _LABEL, _CELL, _TOP = 18, 330, 84, 46
"""Of the plot, in pixels: height of a row, width of the names, width of a cell, first row."""


def describe_sensitivity(found: Sensitivity) -> Record:
    """The record of a run; losses are shares of the outputs' squares."""
    return {
        "schema": SCHEMA,
        "samples": found.samples,
        "ratios": list(found.ratios),
        "metrics": list(found.metrics),
        "known": found.known,
        "groups": [
            {
                "index": one.group.index,
                "name": one.group.name,
                "kind": one.group.kind,
                "size": one.group.size,
                "parameters": one.group.parameters,
                "cuts": [
                    {"removed": removed, "loss": outcome.loss, "scores": outcome.scores}
                    for removed, outcome in one.outcomes.items()
                ],
            }
            for one in found.groups
        ],
    }


def reported(record: Record) -> Record:
    """The same for reports, which know other commands' records, too: what was found lies apart.

    Args:
        record: with all that the run added to it.
    """
    apart = {key: record[key] for key in ("samples", "ratios", "metrics", "known", "groups")}
    rest = {key: value for key, value in record.items() if key not in apart}
    return {**rest, "status": "studied", "sensitivity": apart}


def print_sensitivity(record: Mapping[str, Any], file: IO[str], title: str) -> None:
    """Print the record as a table.

    Args:
        record: the record, as `describe_sensitivity` makes it.
        file: where to print it.
        title: a line above the table.
    """
    out = console(file)
    metric = record["metrics"][0] if record["metrics"] else ""
    what = f"{metric} with the group cut" if metric else "deviation of the outputs, in squares"
    out.print(title, style="bold")
    out.print(f"{record['samples']:,} samples; {what}", "")
    table = plain_table()
    table.add_column("#", justify="right")
    table.add_column("group")
    for heading in ("size", *(f"-{ratio:.0%}" for ratio in record["ratios"])):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = sensitivity_rows(record, metric)
    for number, name, *cells in rows[:GROUPS_SHOWN]:
        table.add_row(number, shortened(name, room(out, _NAME_SHOWN)), *cells)
    out.print(table)
    if len(rows) > GROUPS_SHOWN:
        out.print(f"and {len(rows) - GROUPS_SHOWN} less sensitive groups (--json lists all)")


def plot(record: Mapping[str, Any], title: str) -> str:
    """The record as a heat map in SVG: a row for each group in graph order, a column for each cut.

    Colours go by the loss, from white to red at 1.
    """
    ratios, entries = record["ratios"], record["groups"]
    width, height = _LABEL + _CELL * len(ratios) + 20, _TOP + _ROW * len(entries) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="18" font-size="13">{escape(title)}</text>',
    ]
    for column, ratio in enumerate(ratios):
        x = _LABEL + _CELL * column + _CELL / 2
        parts.append(f'<text x="{x}" y="38" text-anchor="middle">-{ratio:.0%}</text>')
    for row, entry in enumerate(entries):
        y = _TOP + _ROW * row
        label = escape(f"{entry['name'][-48:]}  {entry['size']}")
        parts.append(f'<text x="{_LABEL - 8}" y="{y + 13}" text-anchor="end">{label}</text>')
        for column, cut in enumerate(cuts_by_ratio(entry, ratios)):
            parts += _square(_LABEL + _CELL * column, y, cut)
    return "\n".join([*parts, "</svg>", ""])


def _square(x: int, y: int, cut: Mapping[str, Any] | None) -> Iterator[str]:
    if cut is None:
        return
    paleness = round(235 * (1 - min(cut["loss"], 1.0) ** 0.5))
    yield (
        f'<rect x="{x}" y="{y}" width="{_CELL - 2}" height="{_ROW - 2}" '
        f'fill="rgb(235,{paleness},{paleness})"/>'
    )
    yield (
        f'<text x="{x + _CELL / 2 - 1}" y="{y + 12}" text-anchor="middle">'
        f"{escape(share(cut['loss']))}</text>"
    )
