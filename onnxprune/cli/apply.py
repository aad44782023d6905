"""`onnxprune apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.delivery import deliver, prepare, show
from onnxprune.cli.options import delivering
from onnxprune.cli.prune import job_of
from onnxprune.coupling.plan import Plan
from onnxprune.errors import NothingToPruneError
from onnxprune.pipelines.presets import apply_plan
from onnxprune.reports.provenance import hashes


@command(
    short_help="Prune a model as a plan says.",
    epilog="Example: onnxprune apply plan.json finetuned.onnx out.onnx",
)
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path))
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path), required=False)
@delivering
def apply(plan_path: Path, source: Path, target: Path | None, **options: Any) -> None:
    """Prune IN as PLAN says and write it to OUT.

    The plan may come from another checkpoint of the same architecture.
    """
    job = job_of(source, target, options)
    out = output()
    with out.progress():
        wanted = Plan.load(plan_path)
        if not wanted.initializers:
            raise NothingToPruneError(
                "the plan removes nothing",
                where=str(plan_path),
                why="it tells of new weights, which it does not hold" if wanted.repaired else "",
                hint=f"run its pipeline: --passes '{wanted.settings.get('pipeline')}'"
                if wanted.repaired
                else "",
            )
        ready = prepare(job, out)
        out.record["provenance"]["inputs"] |= hashes({"plan": plan_path})
        if wanted.model_sha256 != ready.model.sha256:
            out.note("the plan was made for another file; it is applied by names and shapes")
        out.stage("removing channels")
        result = apply_plan(
            wanted,
            ready.model,
            input_shapes=options["input_shapes"],
            data=ready.calibration,
            repair=options["repair"],
            seed=options["seed"],
            sparse_storage=options["sparse_storage"],
        )
        if wanted.repaired and not result.plan.repaired and options["repair"] is None:
            out.note(
                "the plan was made with weights that it does not hold: give --data or --repair for "
                "a repair, or run --lossless again for what that changed"
            )
        deliver(result, job, out, ready)
    show(out, job)
