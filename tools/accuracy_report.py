"""What keeps most accuracy at a budget, or at a sparsity? Run it as `tools/accuracy_report`.

Every combination of a criterion with a way of selecting is brought to the same budget: the
budgeted selection by asking for it, the selections by ratio by looking for the largest ratio that
stays within it. Accuracy is measured on held-out data, calibration uses other data. Each is shown
as it is, and repaired on the calibration data; nothing is trained. What is lost stands beside it
with its interval, paired by sample. Every removal is proven; one that is not ends the report.

That interval tells nothing of the calibration samples, and others may move the accuracy by more.
With `--draws N` each combination has N draws of them; then its interval is over the draws, and so
is what it is behind the best one, paired by draw. With `--steps 1,4` each combination is also
brought to the budget in steps, as `--schedules` say.

With `--sparsity`, single weights become zero instead, or N:M patterns of them, by each method in
each scope. With `--quantize`, all of these are also quantized in the end; beside them stands what
that alone leaves.

With `--blocks`, whole residual blocks go instead, by each criterion for them and at random; beside
them stands what removing channels leaves at the same measured latency.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain, product
from pathlib import Path

from accuracy.judge import Judge, Remembering, Row, Trial
from accuracy.tables import show
from accuracy.ways import (
    BUDGETED,
    block_ways,
    channel_ways,
    latency_way,
    quantized_ways,
    repairs,
    sparse_ways,
)
from rich.console import Console

import onnxprune as op
from onnxprune.cost.ledger import QUANTITIES
from onnxprune.errors import OnnxPruneError
from onnxprune.passes.quantize.quantize import MODES
from onnxprune.passes.schedule import SCHEDULES
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.passes.select.selectors import SELECTORS
from onnxprune.passes.sparsify.methods import METHODS
from onnxprune.passes.sparsify.sparsify import SCOPES

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
NETWORKS = ("digits_cnn.ts.onnx", "digits_vit.ts.onnx")
BUDGETS = [0.8, 0.6, 0.5]
WIDTH = 170
"""Of tables in a file."""


def main() -> int:
    """Runs the report and returns the exit code."""
    options = _options()
    console = Console()
    console.width = console.width if console.is_terminal else WIDTH
    rows: list[Row] = []
    try:
        for trial in _trials(options):
            rows += _rows(trial, options, console)
    except OnnxPruneError as error:
        print(f"accuracy_report: {error}", file=sys.stderr)
        return error.exit_code
    for model in dict.fromkeys(row.model for row in rows):
        show([row for row in rows if row.model == model], console)
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
    add("--budgets", type=_numbers, help="shares of the original's costs; by default 0.8,0.6,0.5")
    add("--criteria", default=[*CRITERIA.ours], type=_words)
    add("--selections", default=["uniform", "global", BUDGETED], type=_words)
    add("--repair", choices=("no", "yes", "both"), default="both", help="fit what is left")
    add("--blocks", default=[], type=_counts, help="numbers of residual blocks to remove instead")
    add("--sparsity", default=[], type=_amounts, help="of weights, or N:M: 0.5,0.7,2:4")
    add("--methods", default=[*METHODS], type=_words, help="for --sparsity")
    add("--scopes", default=[*SCOPES], type=_words, help="for --sparsity")
    add("--quantize", default=[], type=_words, help="modes to quantize all by in the end, too")
    add("--schedules", default=["linear"], type=_words, help="for more than one step")
    add("--steps", default=[1], type=_counts, help="numbers of steps to prune in")
    add("--draws", type=int, default=1, help="draws of the samples to score channels on")
    add("--samples", type=int, default=512, help="of --calibration, to score channels on")
    add("--measure", type=float, default=1.0, help="seconds to measure the latency of each for")
    add("--json", type=Path, help="write all rows to this file, too")
    options = parser.parse_args()
    own = (options.model, options.data, options.calibration)
    if any(own) and not all(own):
        parser.error("--model, --data and --calibration go together")
    known = {
        "selections": (BUDGETED, *SELECTORS.names),
        "methods": METHODS,
        "scopes": SCOPES,
        "quantize": MODES,
        "schedules": SCHEDULES,
    }
    for name, choices in known.items():
        for given in getattr(options, name):
            if given not in choices:
                parser.error(f"--{name}: {given!r} is none of {', '.join(choices)}")
    if options.budgets is None:
        options.budgets = [] if options.blocks or options.sparsity else BUDGETS
    return options


def _words(text: str) -> list[str]:
    return text.split(",")


def _amounts(text: str) -> list[str]:
    """Shares and patterns, the shares in their shortest form."""
    return [part if ":" in part else f"{float(part):g}" for part in _words(text)]


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
    original = Remembering(model)
    for draw in range(options.draws):
        labels = trial.labels_of(trial.calibration)
        calibration = op.open_data(
            trial.calibration, model, limit=options.samples, labels=labels, seed=draw
        )
        judge = Judge(trial.model.name, model, original, test, calibration, draw, options.measure)
        for count, repair in product(options.blocks, repairs(options)):
            yield from _depth(count, repair, judge)
        ways = chain(
            quantized_ways(options),
            channel_ways(model, calibration, options),
            sparse_ways(options),
        )
        for way in ways:
            if console.is_terminal:
                told = f"{way.title} {way.criterion} {way.selection} {way.steps} {way.quantized}"
                console.print(told + " " * 20, end="\r")
            yield judge.row(way)


def _depth(count: int, repair: bool, judge: Judge) -> Iterator[Row]:
    """Blocks removed by every criterion, and channels removed to the latency of the first."""
    rows = map(judge.row, block_ways(count, repair))
    first = next(rows)
    yield first
    yield from rows
    yield judge.row(latency_way(count, first.latency, repair))


if __name__ == "__main__":
    sys.exit(main())
