"""The record of a judgement as text for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any

from rich.text import Text

from onnxprune.reports.quantities import compact, share, size
from onnxprune.reports.terminal import console, plain_table

_STYLES = {"pass": "green", "fail": "red", "cannot tell": "yellow"}
_SHOWN: Mapping[str, Callable[[float], str]] = {
    "share": share,
    "cosine": lambda value: f"{value:.4f}",
    "bytes": size,
    "x": lambda value: f"{value:.3f}x",
    "ms": lambda value: f"{value:.3g} ms",
    "dB": lambda value: f"{value:.1f} dB",
}


def print_gate(record: Mapping[str, Any], file: IO[str]) -> None:
    """Print a judgement: a line for each check, and why one does not pass.

    Args:
        record: the record of the judgement.
        file: where to print it.
    """
    out = console(file)
    table = plain_table()
    table.add_column("check", overflow="fold")
    for heading in ("measured", "limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for check in record["checks"]:
        measured, limit = (shown(check[key], check["unit"]) for key in ("measured", "limit"))
        verdict = Text(check["verdict"], style=_STYLES[check["verdict"]])
        table.add_row(check["name"], measured, f"{_sign(check)}{limit}", verdict)
    out.print(table, "")
    for check in record["checks"]:
        if check["verdict"] != "pass":
            said = "; ".join(part for part in (measured_text(check), check["why"]) if part)
            out.print(f"{check['name']}: {said or check['verdict']}")
    for note in record["notes"]:
        out.print(f"Note: {note}.")
    out.print(Text("Gate: ").append(record["verdict"], style=_STYLES[record["verdict"]]))


def measured_text(check: Mapping[str, Any]) -> str:
    """Such as ``1.93x (1.91x to 1.95x), at least 1.2x``; "" where there is no number."""
    if check["measured"] is None:
        return ""
    text = shown(check["measured"], check["unit"])
    if check["interval"]:
        text += " ({} to {})".format(*(shown(end, check["unit"]) for end in check["interval"]))
    if check["limit"] is None or not check["better"]:
        return text
    bound = "at least" if check["better"] == "higher" else "at most"
    return f"{text}, {bound} {shown(check['limit'], check['unit'])}"


def shown(value: float | None, unit: str) -> str:
    """A number with its unit; a dash where there is none."""
    if value is None:
        return "-"
    return _SHOWN.get(unit, _plain)(value)


def _plain(value: float) -> str:
    return compact(value) if value >= 1e4 or float(value).is_integer() else f"{value:.3g}"


def _sign(check: Mapping[str, Any]) -> str:
    if check["limit"] is None or not check["better"]:
        return ""
    return "≥ " if check["better"] == "higher" else "≤ "
