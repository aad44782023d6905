"""Tables of what ways of pruning leave of networks."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from accuracy.judge import Array, Row
from rich import box
from rich.console import Console
from rich.table import Table

_LABELS: dict[str, Callable[[Row], str]] = {
    "criterion": lambda row: row.criterion,
    "selection": lambda row: row.selection,
    "steps": lambda row: f"{row.steps} {row.schedule}" if row.steps > 1 else "",
    "repair": lambda row: "yes" if row.repair else "",
    "quantized": lambda row: row.quantized,
}
_COSTS: dict[str, Callable[[Row], float]] = {
    "zeros %": lambda row: 100 * row.zeros,
    "MACs": lambda row: row.macs,
    "parameters": lambda row: row.params,
    "latency": lambda row: row.latency,
    "kB": lambda row: row.size_bytes / 1000,
    "zlib kB": lambda row: row.compressed_bytes / 1000,
}
_DIGITS = {"zeros %": 1, "kB": 0, "zlib kB": 0}
"""Behind the point; of shares there are three."""
_STUDENT = (np.inf, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16)
"""97.5 % quantiles of Student's t, for 1, 2, 3... values."""


def show(rows: Sequence[Row], console: Console) -> None:
    """A table for each title, the best combination first; columns that say nothing are left out.

    Args:
        rows: of one network.
        console: where they are printed.
    """
    draws = len({row.draw for row in rows})
    for title in dict.fromkeys(row.title for row in rows):
        ranked = _ranked(row for row in rows if row.title == title)
        lines = [_cells(drawn, ranked[0], draws) for drawn in ranked]
        before = f"{rows[0].original:.2f} % and {rows[0].original_bytes / 1000:.0f} kB before"
        table = Table(title=f"{rows[0].model}, {title}: {before}", box=box.SIMPLE_HEAD)
        said = [heading for heading in lines[0] if any(line[heading] for line in lines)]
        for heading in said:
            table.add_column(heading, justify="left" if heading in _LABELS else "right")
        for line in lines:
            table.add_row(*(line[heading] for heading in said))
        console.print(table)
        best = (lines[0][heading] for heading in ("criterion", "selection", "quantized"))
        console.print(f"best at {title}: {', '.join(filter(None, best))}")


def _cells(drawn: Sequence[Row], best: Sequence[Row], draws: int) -> dict[str, str]:
    """What stands in the line of one combination, by heading."""
    first = drawn[0]
    found, lead = _accuracies(drawn), _accuracies(best) - _accuracies(drawn)
    low, high = _interval(found - first.original) if draws > 1 else (first.low, first.high)
    behind = draws > 1 and drawn is not best
    cells = {heading: label(first) for heading, label in _LABELS.items()}
    cells |= {
        "top-1 %": f"{found.mean():.2f}",
        "points": f"{found.mean() - first.original:+.2f}",
        "95 %": f"{low:+.2f} to {high:+.2f}",
        "behind the best": "{:.2f} to {:.2f}".format(*_interval(lead)) if behind else "",
        "SQNR dB": f"{np.mean([row.sqnr_db for row in drawn]):.1f}",
    }
    means = {heading: np.mean([cost(row) for row in drawn]) for heading, cost in _COSTS.items()}
    return cells | {x: f"{mean:.{_DIGITS.get(x, 3)}f}" for x, mean in means.items()}


def _ranked(rows: Iterable[Row]) -> list[list[Row]]:
    """The draws of each combination, the best one first."""
    combinations: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = tuple(label(row) for label in _LABELS.values())
        combinations.setdefault(key, []).append(row)
    return sorted(combinations.values(), key=lambda drawn: -_accuracies(drawn).mean())


def _accuracies(drawn: Sequence[Row]) -> Array:
    return np.array([row.accuracy for row in drawn])


def _interval(values: Array) -> tuple[float, float]:
    """The 95 % interval of a mean over few draws, by Student's t."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    quantile = _STUDENT[min(len(values), len(_STUDENT)) - 1]
    return mean - quantile * error, mean + quantile * error
