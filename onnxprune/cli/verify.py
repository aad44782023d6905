"""`onnxprune verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.judging import wanted_of
from onnxprune.cli.options import (
    Shapes,
    data_options,
    input_shape_option,
    json_option,
    quiet_option,
    seed_option,
    verbose_option,
)
from onnxprune.cli.reporting import report_option
from onnxprune.coupling.plan import Plan
from onnxprune.errors import CannotTellError, CheckFailedError, UsageError
from onnxprune.ir.difference import difference
from onnxprune.ir.load import load
from onnxprune.pipelines.comparison import Comparison
from onnxprune.reports.provenance import provenance
from onnxprune.reports.record import (
    SCHEMA,
    describe_difference,
    describe_equivalence,
    describe_random,
)
from onnxprune.reports.terminal import console, print_equivalence, print_judgement, print_structure
from onnxprune.verify.equivalence import Equivalence
from onnxprune.verify.tolerance import Tolerances


@command(
    short_help="Compare a pruned model with its original.",
    epilog="""\b
Examples:
  onnxprune verify in.onnx out.onnx --plan plan.json
  onnxprune verify in.onnx out.onnx --data test.npz --labels label
""",
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
@click.option(
    "--tolerance",
    "tolerances",
    metavar="[DTYPE=]SHARE[:OUTLIERS]",
    multiple=True,
    help="How far tensors may be apart that should be equal, as a share of their variation; with "
    "OUTLIERS, but for that share of their elements. [default: 1e-3 for float32, 3e-2 for float16]",
)
@report_option
@data_options
@input_shape_option
@seed_option
@json_option
@quiet_option
@verbose_option
def verify(original: Path, pruned: Path, plan_path: Path | None, **options: Any) -> None:
    """Compare PRUNED with ORIGINAL: structure, fidelity, metrics on data; with a plan the proof.

    Exits with 1 if the proof fails, and with 6 if it cannot be told.
    """
    wanted = wanted_of(options)
    tolerances = Tolerances.parse(options["tolerances"])
    if plan_path is None and options["tolerances"]:
        raise UsageError("--tolerance is of use only with --plan")
    shapes: Shapes = options["input_shapes"]
    out = output()
    out.record.update({"schema": SCHEMA, "status": "compared"})
    with out.progress():
        plan = None if plan_path is None else Plan.load(plan_path)
        first, second = load(original), load(pruned)
        comparison = Comparison(first, second, shapes, options["seed"], plan, tolerances)
        sources = {"plan": plan_path, "data": options["data"]}
        models = {"original": first, "pruned": second}
        out.record["provenance"] = provenance(models, sources, seed=options["seed"])
        out.record["structure"] = describe_difference(difference(first, second))
        judge = None if wanted is None else wanted.opened(comparison.original, shapes)
        verdict = None
        if plan is not None:
            if plan.model_sha256 != comparison.original.sha256:
                out.note("the plan was made for another file; it is read by names and shapes")
            out.stage("verifying")
            verdict = comparison.equivalence(judge.data if judge else None)
            out.record["equivalence"] = describe_equivalence(verdict)
        out.stage("comparing outputs")
        if judge is None:
            out.record.update(describe_random(comparison.fidelity()))
        else:
            out.record.update(judge.judged(comparison))
    if not out.as_json and not out.quiet:
        with out.stdout() as file:
            terminal = console(file)
            if verdict is not None:
                print_equivalence(terminal, out.record["equivalence"])
            print_structure(terminal, out.record["structure"])
            print_judgement(terminal, out.record)
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
