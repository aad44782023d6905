"""Which criterion keeps most accuracy at a budget? Run it as `tools/accuracy_report`.

Every combination of a criterion with a way of selecting is brought to the same budget: the
budgeted selection by asking for it, the selections by ratio by looking for the largest ratio that
stays within it. Accuracy is measured on held-out data, calibration uses other data. Each is shown
as it is, and repaired on the calibration data; nothing is trained. What is lost stands beside it
with its interval, paired by sample. Every removal is proven; one that is not ends the report.

That interval tells nothing of the calibration samples, and others may move the accuracy by more.
With `--draws N` each combination has N draws of them; then its interval is over the draws, and so
is what it is behind the best one, paired by draw. With `--steps 1,4` each combination is also
brought to the budget in steps.

With `--blocks`, whole residual blocks go instead, by each criterion for them and at random; beside
them stands what removing channels leaves at the same measured latency.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import onnxprune as op
from onnxprune.cost.ledger import QUANTITIES, Ledger
from onnxprune.coupling.analysis import analyse
from onnxprune.errors import OnnxPruneError
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes import FoldConstants, FoldEmpty, RemoveBlocks, Repair
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.passes.select.blocks import BLOCK_CRITERIA
from onnxprune.passes.select.selectors import SELECTORS
from onnxprune.pipelines.pipeline import Pipeline
from onnxprune.pipelines.presets import pruning
from onnxprune.pipelines.result import Result
from onnxprune.runtime import Session
from onnxprune.verify.evaluation import evaluate
from onnxprune.verify.sessions import session_of

Array = npt.NDArray[Any]
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
NETWORKS = ("digits_cnn.ts.onnx", "digits_vit.ts.onnx")
BUDGETED = "budget"
"""Stands for selection within the budget, beside the selectors by ratio."""
RANDOM_DRAWS = 5
"""So often are blocks drawn at random."""
_HALVINGS = 7
_MOST = 0.98
"""Between 0 and this the ratio is sought."""
_SHARES = ("macs", "params", "latency")
_STUDENT = (np.inf, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16)
"""97.5 % quantiles of Student's t, for 1, 2, 3... values."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A network with the data that judges it and the data that its channels are scored on."""

    model: Path
    data: Path
    labels: str
    calibration: Path

    def labels_of(self, path: Path) -> str | None:
        """The name of the labels in a file, if it has them."""
        if path.suffix != ".npz":
            return None
        with np.load(path) as arrays:
            return self.labels if self.labels in arrays else None


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a network; costs are shares of the original's, accuracy is in per cent.

    `low` and `high` are the ends of the 95 % interval of what it gained, in points.
    """

    model: str
    title: str
    criterion: str
    selection: str
    steps: int
    repair: bool
    draw: int
    accuracy: float
    original: float
    low: float
    high: float
    macs: float
    params: float
    latency: float


def main() -> int:
    """Runs the report and returns the exit code."""
    options = _options()
    console = Console()
    rows: list[Row] = []
    try:
        for trial in _trials(options):
            rows += _rows(trial, options, console)
    except OnnxPruneError as error:
        print(f"accuracy_report: {error}", file=sys.stderr)
        return error.exit_code
    for model in dict.fromkeys(row.model for row in rows):
        _show([row for row in rows if row.model == model], console)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="accuracy_report", description=__doc__)
    add = parser.add_argument
    add("--model", type=Path, help="a network; by default those of fixtures/")
    add("--data", type=Path, help="held-out samples with labels")
    add("--labels", default="label", help="name of the array that holds the labels")
    add("--calibration", type=Path, help="samples to score channels on, not those of --data")
    add("--target", default="macs", choices=QUANTITIES)
    add("--budgets", default="0.8,0.6,0.5", type=_numbers, help="shares of the original's costs")
    add("--criteria", default=",".join(CRITERIA.ours), type=lambda text: text.split(","))
    add("--selections", default=f"uniform,global,{BUDGETED}", type=lambda text: text.split(","))
    add("--repair", choices=("no", "yes", "both"), default="both", help="fit what is left")
    add("--blocks", default=[], type=_counts, help="numbers of residual blocks to remove instead")
    add("--steps", default=[1], type=_counts, help="numbers of steps to prune in")
    add("--draws", type=int, default=1, help="draws of the samples to score channels on")
    add("--samples", type=int, default=512, help="of --calibration, to score channels on")
    add("--measure", type=float, default=1.0, help="seconds to measure the latency of each for")
    add("--json", type=Path, help="write all rows to this file, too")
    options = parser.parse_args()
    if options.model and not (options.data and options.calibration):
        parser.error("--model needs --data and --calibration")
    unknown = {*options.selections} - {BUDGETED, *SELECTORS.names}
    if unknown:
        parser.error(f"there is no selection {min(unknown)!r}")
    return options


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _trials(options: argparse.Namespace) -> list[Trial]:
    if options.model is not None:
        return [Trial(options.model, options.data, options.labels, options.calibration)]
    test, calibration = FIXTURES / "digits_test.npz", FIXTURES / "digits_calibration.npz"
    return [Trial(FIXTURES / name, test, "label", calibration) for name in NETWORKS]


def _rows(trial: Trial, options: argparse.Namespace, console: Console) -> Iterator[Row]:
    model = op.load(trial.model)
    test = op.open_data(trial.data, model, limit=None, labels=trial.labels)
    original = _Remembering(model)
    repairs = {"no": (False,), "yes": (True,), "both": (False, True)}[options.repair]
    for draw in range(options.draws):
        labels = trial.labels_of(trial.calibration)
        calibration = op.open_data(
            trial.calibration, model, limit=options.samples, labels=labels, seed=draw
        )
        judge = _Judge(trial.model.name, model, original, test, calibration, draw, options.measure)
        for count, repair in product(options.blocks, repairs):
            yield from _depth(count, repair, judge)
        for budget in () if options.blocks else options.budgets:
            title = f"{options.target} {budget:g}"
            for criterion, selection in product(options.criteria, options.selections):
                if console.is_terminal:
                    console.print(f"{criterion} {selection} {budget:g}" + " " * 20, end="\r")
                way = _within(model, calibration, budget, criterion, selection, options)
                for steps, repair in product(options.steps, repairs):
                    pipeline = pruning(**way, steps=steps, repair=None if repair else False)
                    yield judge.row(title, criterion, selection, pipeline, steps, repair)


class _Remembering(Session):
    """A model that runs each batch of one data set once, however often it is gone through."""

    def __init__(self, model: op.Model) -> None:
        super().__init__(model.to_bytes())
        self._made: list[dict[str, Array]] = []
        self._next = 0

    def restart(self) -> None:
        """The first batch comes next."""
        self._next = 0

    def run(
        self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        if self._next == len(self._made):
            self._made.append(super().run(feeds, outputs))
        self._next += 1
        return self._made[self._next - 1]


@dataclass(frozen=True, slots=True)
class _Judge:
    """A network with the data that judges it and that its channels are scored on.

    `seconds` says how long a latency is measured.
    """

    name: str
    model: op.Model
    original: _Remembering
    test: op.Dataset
    calibration: op.Dataset
    draw: int
    seconds: float

    def row(
        self,
        title: str,
        criterion: str,
        selection: str,
        pipeline: Pipeline,
        steps: int,
        repair: bool,
    ) -> Row:
        """What a pipeline leaves of the network."""
        result = pipeline.run(self.model, data=self.calibration)
        result.verify()
        costs, whole = _costs(result.model), _costs(self.model)
        self.original.restart()
        with session_of(result.model) as pruned:
            score = evaluate(self.original, pruned, self.test, ["top1"]).scores["top1"]
        low, high = score.paired.interval() if score.paired is not None else (-1.0, 1.0)
        return Row(
            self.name,
            title,
            criterion,
            selection,
            steps,
            repair,
            self.draw,
            100 * score.pruned,
            100 * (score.original or 0.0),
            100 * low,
            100 * high,
            costs["macs"] / whole["macs"],
            costs["params"] / whole["params"],
            1 / result.benchmark(budget_s=self.seconds).ratio,
        )


def _depth(count: int, repair: bool, judge: _Judge) -> Iterator[Row]:
    """Blocks removed by every criterion, and channels removed to the latency of the first."""
    title, latency = f"{count} blocks", 1.0
    repairs = [Repair()] if repair else []
    for criterion in BLOCK_CRITERIA:
        for seed in range(RANDOM_DRAWS if criterion == "random" else 1):
            blocks = RemoveBlocks(count=count, criterion=criterion, seed=seed)
            pipeline = Pipeline([FoldConstants(), blocks, FoldEmpty(), *repairs])
            selection = f"blocks {seed}" if criterion == "random" else "blocks"
            row = judge.row(title, criterion, selection, pipeline, 1, repair)
            latency = row.latency if criterion == next(iter(BLOCK_CRITERIA)) else latency
            yield row
    wanted = f"latency={latency:.3f}"
    pipeline = pruning(targets=(wanted,), criterion="obs", repair=None if repair else False)
    yield judge.row(title, "obs", "channels", pipeline, 1, repair)


def _within(
    model: op.Model,
    calibration: op.Dataset,
    budget: float,
    criterion: str,
    selection: str,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Options that bring a network within the budget: it, or the smallest ratio that does."""
    if selection == BUDGETED:
        return {"criterion": criterion, "targets": (f"{options.target}={budget}",)}

    def at(ratio: float) -> dict[str, Any]:
        return {"criterion": criterion, "ratio": ratio, "scope": selection, "round_to": 1}

    low, high = 0.0, _MOST
    for _ in range(_HALVINGS):
        ratio = (low + high) / 2
        tried = pruning(**at(ratio), repair=False).run(model, data=calibration)
        if _share(tried, options) <= budget:
            high = ratio
        else:
            low = ratio
    return at(high)


def _share(result: Result, options: argparse.Namespace) -> float:
    """What is left of what the target limits; a latency is measured."""
    if options.target == "latency":
        return 1 / result.benchmark(budget_s=options.measure).ratio
    return _costs(result.model)[options.target] / _costs(result.original)[options.target]


def _costs(model: op.Model) -> dict[str, float]:
    totals = Ledger(analyse(canonicalise(model)), ()).totals
    return {quantity: totals[quantity] for quantity in QUANTITIES if quantity != "latency"}


def _show(rows: Sequence[Row], console: Console) -> None:
    """A table for each budget, the best combination first."""
    draws = len({row.draw for row in rows})
    for title in dict.fromkeys(row.title for row in rows):
        table = Table(title=f"{rows[0].model}, {title}: {rows[0].original:.2f} % before")
        for heading in ("criterion", "selection", "steps", "repair"):
            table.add_column(heading)
        behind = ["behind the best"] if draws > 1 else []
        for heading in ("top-1 %", "points", "95 %", *behind, "MACs", "parameters", "latency"):
            table.add_column(heading, justify="right")
        best, *others = _ranked(row for row in rows if row.title == title)
        for drawn in (best, *others):
            first = drawn[0]
            found, lead = _accuracies(drawn), _accuracies(best) - _accuracies(drawn)
            low, high = _interval(found - first.original) if draws > 1 else (first.low, first.high)
            table.add_row(
                first.criterion,
                first.selection,
                str(first.steps),
                "yes" if first.repair else "",
                f"{found.mean():.2f}",
                f"{found.mean() - first.original:+.2f}",
                f"{low:+.2f} to {high:+.2f}",
                *("{:.2f} to {:.2f}".format(*_interval(lead)) for _ in behind if drawn is not best),
                *("" for _ in behind if drawn is best),
                *(f"{np.mean([getattr(row, x) for row in drawn]):.3f}" for x in _SHARES),
            )
        console.print(table)
        console.print(f"best at {title}: {best[0].criterion}, {best[0].selection}")


def _ranked(rows: Iterable[Row]) -> list[list[Row]]:
    """The draws of each combination, the best one first."""
    combinations: dict[tuple[str, str, int, bool], list[Row]] = {}
    for row in rows:
        key = row.criterion, row.selection, row.steps, row.repair
        combinations.setdefault(key, []).append(row)
    return sorted(combinations.values(), key=lambda drawn: -_accuracies(drawn).mean())


def _accuracies(drawn: Sequence[Row]) -> Array:
    return np.array([row.accuracy for row in drawn])


def _interval(values: Array) -> tuple[float, float]:
    """The 95 % interval of a mean over few draws, by Student's t."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    quantile = _STUDENT[min(len(values), len(_STUDENT)) - 1]
    return mean - quantile * error, mean + quantile * error


if __name__ == "__main__":
    sys.exit(main())
