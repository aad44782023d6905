"""`onnxprune sensitivity`."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.judging import wanted_of
from onnxprune.cli.options import (
    allow_io_option,
    data_options,
    ignore_option,
    input_shape_option,
    json_option,
    kinds_option,
    parse_kinds,
    quiet_option,
    seed_option,
    verbose_option,
)
from onnxprune.cli.reporting import report_option
from onnxprune.cli.strays import note_strays
from onnxprune.cli.targets import check_distinct, check_target
from onnxprune.cli.values import registered
from onnxprune.coupling.groups import DEFAULT_KINDS
from onnxprune.files import write_text
from onnxprune.ir.load import load
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.pipelines.sensitivity import RATIOS, sensitivity
from onnxprune.reports.provenance import provenance
from onnxprune.reports.sensitivity import (
    describe_sensitivity,
    plot,
    print_sensitivity,
    reported,
)

_RANDOM = "random inputs: what real data would show may differ; give --data"


def _ratios(ctx: click.Context, param: click.Parameter, text: str) -> tuple[float, ...]:
    try:
        return tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not 0.25,0.5", ctx, param) from None


@command(
    "sensitivity",
    short_help="Measure what it costs to cut each group.",
    epilog="Example: onnxprune sensitivity in.onnx --data cal.npz --plot in.svg",
)
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--ratios",
    callback=_ratios,
    default=",".join(map(str, RATIOS)),
    show_default=True,
    metavar="R,R,…",
    help="Fractions of a group to remove.",
)
@click.option(
    "--criterion",
    default="l2",
    show_default=True,
    metavar="NAME",
    shell_complete=registered(CRITERIA),
    help=f"What says which channels of a group go first: {', '.join(CRITERIA.ours)}.",
)
@ignore_option
@allow_io_option
@kinds_option
@data_options
@click.option(
    "--plot",
    "drawing",
    type=click.Path(path_type=Path),
    metavar="FILE.svg",
    help="Draw a heat map.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that measure at the same time. [default: one for two cores]",
)
@report_option
@input_shape_option
@seed_option
@json_option
@quiet_option
@verbose_option
def sensitivity_command(model: Path, ratios: Sequence[float], **options: Any) -> None:
    """Measure what it costs MODEL to lose channels of one group at a time.

    What is measured is kept: a run that was interrupted goes on where it was.
    """
    wanted = wanted_of(options)
    out = output()
    if options["drawing"] is not None:
        check_target(options["drawing"])
        check_distinct(model, options["drawing"])
    cores = os.cpu_count() or 1
    jobs = options["jobs"] or max(cores // 2, 1)
    with out.progress():
        loaded = load(model)
        out.record["provenance"] = provenance(
            {"original": loaded}, {"data": options["data"]}, seed=options["seed"]
        )
        judge = None if wanted is None else wanted.opened(loaded, options["input_shapes"])
        with _executor(jobs) as executor:
            found = sensitivity(
                loaded,
                None if judge is None else judge.data,
                ratios=ratios,
                criterion=options["criterion"],
                kinds=parse_kinds(options["kinds"]) or DEFAULT_KINDS,
                ignore=options["ignore"],
                allow_io=options["allow_io"],
                input_shapes=options["input_shapes"],
                metrics=() if wanted is None else wanted.metrics,
                output=options["scores"],
                seed=options["seed"],
                executor=executor,
                threads=max(cores // jobs, 1),
            )
        note_strays(out, "--ignore", options["ignore"], loaded, [found.analysis])
    out.record.update(describe_sensitivity(found))
    if wanted is None:
        out.note(_RANDOM)
    if options["drawing"] is not None:
        write_text(options["drawing"], plot(out.record, model.name))
    if out.as_json:
        out.document(out.record)
    elif not out.quiet:
        with out.stdout() as file:
            print_sensitivity(out.record, file, model.name)
    out.record = reported(out.record)


def _executor(jobs: int) -> AbstractContextManager[Executor | None]:
    """Processes of their own, or none for one job."""
    if jobs == 1:
        return nullcontext()
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context)
