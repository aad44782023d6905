"""`onnxprune benchmark`."""

from __future__ import annotations

from pathlib import Path

import click

from onnxprune.cli.console import output
from onnxprune.cli.delivery import require_provider
from onnxprune.cli.options import (
    Shapes,
    input_shape_option,
    json_option,
    measuring,
    seed_option,
    verbose_option,
)
from onnxprune.errors import CannotTellError
from onnxprune.ir.load import load
from onnxprune.pipelines.comparison import Comparison
from onnxprune.reports.record import SCHEMA, describe_latency, describe_speedup
from onnxprune.reports.terminal import print_benchmark, speedup_sentence


@click.command(
    short_help="Measure which of two models is faster.",
    epilog="Example: onnxprune benchmark in.onnx out.onnx --threads 4 --budget 10",
)
@click.argument("original", metavar="A", type=click.Path(path_type=Path))
@click.argument("pruned", metavar="B", type=click.Path(path_type=Path))
@measuring
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Size of a dynamic leading axis.",
)
@click.option(
    "--budget",
    "budget_s",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to measure.",
)
@input_shape_option
@seed_option
@json_option
@verbose_option
def benchmark(
    original: Path,
    pruned: Path,
    provider: str,
    threads: int,
    batch: int,
    budget_s: float,
    input_shapes: Shapes,
    seed: int,
) -> None:
    """Measure whether B is faster than A: interleaved runs, and A against itself for the noise.

    Exits with 6 if the measurement is too noisy to tell.
    """
    out = output()
    out.record.update({"schema": SCHEMA, "status": "measured"})
    with out.progress():
        require_provider(provider)
        comparison = Comparison(load(original), load(pruned), input_shapes, seed)
        out.stage("measuring latency")
        speedup = comparison.latency(provider, threads, batch, budget_s)
    record = out.record
    record["original"] = describe_latency(speedup.original)
    record["pruned"] = describe_latency(speedup.pruned)
    record["speedup"] = describe_speedup(speedup, provider, threads)
    if not out.as_json:
        names = (original.name, pruned.name)
        with out.stdout() as file:
            print_benchmark(record, file, names)
    if speedup.verdict == "cannot tell":
        raise CannotTellError(
            "which of the models is faster cannot be told",
            why=speedup_sentence(record["speedup"]),
            hint="measure for longer (--budget), on a machine with less else to do",
        )
    if out.as_json:
        out.document(record)
