"""`onnxprune verify`."""

from __future__ import annotations

from pathlib import Path

import click

from onnxprune.cli.console import output
from onnxprune.cli.options import (
    Shapes,
    input_shape_option,
    json_option,
    quiet_option,
    seed_option,
    verbose_option,
)
from onnxprune.coupling.plan import Plan
from onnxprune.errors import CannotTellError, CheckFailedError
from onnxprune.ir.load import load
from onnxprune.pipelines.comparison import Comparison
from onnxprune.reports.record import SCHEMA, describe_equivalence, describe_fidelity
from onnxprune.reports.terminal import console, print_equivalence, print_fidelity
from onnxprune.verify.equivalence import Equivalence


@click.command(
    short_help="Compare a pruned model with its original.",
    epilog="Example: onnxprune verify in.onnx out.onnx --plan plan.json",
)
@click.argument("original", type=click.Path(path_type=Path))
@click.argument("pruned", type=click.Path(path_type=Path))
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path),
    metavar="PLAN.json",
    help="Prove that PRUNED is ORIGINAL without what this plan removes.",
)
@input_shape_option
@seed_option
@json_option
@quiet_option
@verbose_option
def verify(
    original: Path, pruned: Path, plan_path: Path | None, input_shapes: Shapes, seed: int
) -> None:
    """Compare PRUNED with ORIGINAL: fidelity, and with a plan the proof of the surgery.

    Exits with 1 if the proof fails, and with 6 if it cannot be told.
    """
    out = output()
    out.record.update({"schema": SCHEMA, "status": "compared"})
    with out.progress():
        plan = None if plan_path is None else Plan.load(plan_path)
        comparison = Comparison(load(original), load(pruned), input_shapes, seed, plan)
        verdict = None
        if plan is not None:
            if plan.model_sha256 != comparison.original.sha256:
                out.note("the plan was made for another file; it is read by names and shapes")
            out.stage("verifying")
            verdict = comparison.equivalence()
            out.record["equivalence"] = describe_equivalence(verdict)
        out.stage("comparing outputs")
        out.record["fidelity"] = describe_fidelity(comparison.fidelity())
    if not out.as_json and not out.quiet:
        with out.stdout() as file:
            terminal = console(file)
            if verdict is not None:
                print_equivalence(terminal, out.record["equivalence"])
            print_fidelity(terminal, out.record["fidelity"])
    if verdict is not None:
        _require(verdict, pruned)
    if out.as_json:
        out.document(out.record)


def _require(verdict: Equivalence, pruned: Path) -> None:
    if verdict.verdict == "failed":
        raise CheckFailedError(
            "the pruned model does not compute what the masked original computes",
            where=f"{pruned}: {verdict.worst}",
            why=verdict.why,
            hint="was it changed after pruning, fine-tuned for example? Fidelity compares such",
        )
    if not verdict.passed:
        raise CannotTellError("equivalence cannot be shown", where=str(pruned), why=verdict.why)
