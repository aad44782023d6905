"""`onnxprune benchmark`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import Output, output
from onnxprune.cli.delivery import require_provider
from onnxprune.cli.options import (
    input_shape_option,
    json_option,
    measuring,
    quiet_option,
    seed_option,
    strict_option,
    verbose_option,
)
from onnxprune.cli.reporting import report_option
from onnxprune.errors import CannotTellError, UsageError
from onnxprune.ir.load import load
from onnxprune.pipelines.comparison import Comparison
from onnxprune.reports.benchmark import (
    Pair,
    describe_batch,
    describe_observations,
    describe_times,
    print_benchmark,
)
from onnxprune.reports.provenance import provenance
from onnxprune.reports.record import SCHEMA, Record
from onnxprune.reports.terminal import speedup_sentence
from onnxprune.runtime import Load


def _sizes(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, ...]:
    """Read `1,8,32`; nothing where it is not given."""
    parts = [] if text is None else [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{text!r} is not 1,8,32", ctx, param)
    return tuple(dict.fromkeys(map(int, parts)))


@command(
    short_help="Measure which of two models is faster.",
    epilog="""\b
Examples:
  onnxprune benchmark in.onnx out.onnx --threads 4 --budget 10
  onnxprune benchmark in.onnx out.onnx --batch 1,8,32 --profile
  onnxprune benchmark in.onnx out.onnx --provider cuda --strict-provider
""",
)
@click.argument("original", metavar="A", type=click.Path(path_type=Path))
@click.argument("pruned", metavar="B", type=click.Path(path_type=Path))
@measuring
@strict_option
@click.option(
    "--batch",
    "batches",
    metavar="N,N,…",
    callback=_sizes,
    help="Sizes of a dynamic leading axis, measured one after the other. [default: 1]",
)
@click.option(
    "--budget",
    "budget_s",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to measure each batch size.",
)
@click.option(
    "--optimization",
    type=click.Choice(["none", "basic", "extended", "all"]),
    default="all",
    show_default=True,
    help="How far ONNX Runtime rewrites the graphs.",
)
@click.option(
    "--profile",
    is_flag=True,
    help="Show what operators take in both; reports show what layers take, too.",
)
@report_option
@input_shape_option
@seed_option
@json_option
@quiet_option
@verbose_option
def benchmark(
    original: Path,
    pruned: Path,
    batches: tuple[int, ...],
    budget_s: float,
    profile: bool,
    **options: Any,
) -> None:
    """Measure whether B is faster than A: interleaved runs, and A against itself for the noise.

    Memory, the time to create a session and the operators' profile are taken in a process of its
    own for each model, at the first batch size. Exits with 6 if a measurement is too noisy to tell.
    """
    conditions = Load(
        options["provider"], options["threads"], options["optimization"], options["strict"]
    )
    out = output()
    out.record.update({"schema": SCHEMA, "status": "measured"})
    with out.progress():
        require_provider(conditions.provider)
        first, second = load(original), load(pruned)
        comparison = Comparison(first, second, options["input_shapes"], options["seed"])
        models = {"original": first, "pruned": second}
        out.record["provenance"] = provenance(
            models, seed=options["seed"], budget_s=budget_s, **asdict(conditions)
        )
        observed = _measure(comparison, conditions, _asked(comparison, batches), budget_s, out)
        if profile:
            out.record.update(describe_times(comparison.analyses(), observed))
    if not out.as_json and not out.quiet:
        with out.stdout() as file:
            print_benchmark(out.record, file, (original.name, pruned.name), profile)
    _require_verdicts(out.record["batches"])
    if out.as_json:
        out.document(out.record)


def _asked(comparison: Comparison, batches: tuple[int, ...]) -> tuple[int | None, ...]:
    """The batch sizes to measure; None where the model has one of its own."""
    if comparison.takes_batches:
        return batches or (1,)
    if batches:
        raise UsageError(
            "the batch of this model is fixed, and --batch cannot change it",
            where="--batch",
            why="no leading axis of its inputs is dynamic, or --input-shape gives it",
            hint="leave --batch out: then runs are counted, not samples",
        )
    return (None,)


def _measure(
    comparison: Comparison,
    conditions: Load,
    batches: tuple[int | None, ...],
    budget_s: float,
    out: Output,
) -> Pair:
    """Measure, and note it all in the record."""
    entries: list[Record] = []
    for batch in batches:
        out.stage("measuring latency" if batch is None else f"measuring latency, batch {batch}")
        speedup = comparison.latency(
            conditions.provider,
            conditions.threads,
            batch or 1,
            budget_s,
            optimization=conditions.optimization,
            strict=conditions.strict,
        )
        entries.append(describe_batch(speedup, conditions, batch))
    out.stage("measuring memory and operators")
    observed = comparison.observe(conditions, batches[0] or 1)
    first = {key: entries[0][key] for key in ("original", "pruned", "speedup")}
    out.record.update(first, batches=entries, **describe_observations(observed, conditions))
    return observed


def _require_verdicts(batches: list[Record]) -> None:
    noisy = [entry for entry in batches if entry["speedup"]["verdict"] == "cannot tell"]
    if noisy:
        raise CannotTellError(
            "which of the models is faster cannot be told",
            where=", ".join(f"batch {entry['batch']}" for entry in noisy) if batches[1:] else "",
            why="\n".join(speedup_sentence(entry["speedup"]) for entry in noisy),
            hint="measure for longer (--budget), on a machine with less else to do",
        )
