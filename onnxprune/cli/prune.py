"""`onnxprune prune`, the default command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.delivery import Job, deliver, prepare, show
from onnxprune.cli.judging import calibration_of, wanted_of
from onnxprune.cli.options import (
    allow_io_option,
    chosen_targets,
    delivering,
    ignore_option,
    kinds_option,
    number_or,
    parse_kinds,
    targets_options,
)
from onnxprune.cli.quantizing import quantize_of, quantize_options
from onnxprune.cli.settings import read_settings
from onnxprune.cli.sparsity import sparsify_of, sparsity_options
from onnxprune.cli.strays import note_strays
from onnxprune.cli.values import passes, registered, words
from onnxprune.errors import UsageError
from onnxprune.passes.schedule import SCHEDULES
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.passes.select.selectors import SELECTORS
from onnxprune.pipelines.pipeline import Pipeline
from onnxprune.pipelines.presets import lossless, pruning, quantizing

_EPILOG = """\b
Examples:
  onnxprune in.onnx out.onnx --channels 0.3
  onnxprune in.onnx out.onnx --channels 0.5 --scope global --plan plan.json
  onnxprune in.onnx out.onnx --target-macs 0.5 --target-size 5MB
  onnxprune in.onnx out.onnx --blocks 2 --data cal.npz
  onnxprune in.onnx out.onnx --channels 0.3 --ignore '/head/*' --ignore Gemm
  onnxprune in.onnx out.onnx --target-macs 0.5 --data cal.npz
  onnxprune in.onnx out.onnx --channels 0.3 --data test.npz --labels label
  onnxprune in.onnx out.onnx --channels 0.3 --kinds +head_dim --round-to 8
  onnxprune in.onnx out.onnx --sparsity 0.7 --data cal.npz --sparse-storage
  onnxprune in.onnx out.onnx --pattern 2:4 --data cal.npz
  onnxprune in.onnx out.onnx --channels 0.3 --data cal.npz --quantize qdq
  onnxprune in.onnx out.onnx --passes \\
    'fold-constants,remove-channels{ratio=0.3,criterion=l1},fold-empty'
"""


@command(short_help="Prune a model (the default command).", epilog=_EPILOG)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path), required=False)
@click.option(
    "--channels",
    "ratio",
    type=float,
    metavar="R",
    help="Fraction of the channels to remove, in [0, 1).",
)
@click.option(
    "--threshold",
    type=float,
    metavar="T",
    help="Remove channels that score less than T; the mean score of a group is 1.",
)
@click.option(
    "--ratio",
    "ratios",
    multiple=True,
    metavar="PATTERN=R",
    help="Fraction of the groups that match: names of groups, kinds or weights. Repeat it for "
    "more; 0 leaves them alone.",
)
@click.option(
    "--groups",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="A file with ratios, minima, exclusions and kinds of groups.",
)
@targets_options
@sparsity_options
@click.option(
    "--blocks",
    callback=number_or("auto"),
    shell_complete=words(["auto"]),
    metavar="N|auto",
    help="Remove N whole residual blocks, those that are missed least; alone, or before channels. "
    "auto removes those that pay off within a --target-….",
)
@click.option(
    "--lossless",
    is_flag=True,
    help="Remove only channels that are provably without effect: dead, constant, or multiples of "
    "others. With --round-to auto some of them stay where an odd width would be slow.",
)
@click.option(
    "--scope",
    metavar="|".join(SELECTORS.ours),
    shell_complete=registered(SELECTORS),
    help="The same fraction of every group (default), all channels ranked together, or those of "
    "groups with the same structure ranked together; with --sparsity of layers and weights.",
)
@click.option(
    "--criterion",
    metavar="NAME",
    shell_complete=registered(CRITERIA),
    help=f"What says how much a channel matters: {', '.join(CRITERIA.ours)}; see `onnxprune "
    "passes`. [default: obs for --target-… with --data, else l2]",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Prune, repair and score again in N steps. [default: 1]",
)
@click.option(
    "--schedule",
    metavar="|".join(SCHEDULES),
    shell_complete=words(SCHEDULES),
    help="How much is left after each of the --steps. [default: linear]",
)
@click.option(
    "--round-to",
    callback=number_or("auto"),
    shell_complete=words(["auto"]),
    metavar="N|auto",
    help="Keep widths that are multiples of N; auto (default) suits the hardware.",
)
@ignore_option
@allow_io_option
@kinds_option
@quantize_options
@click.option(
    "--passes",
    "pipeline",
    metavar="PIPELINE",
    shell_complete=passes,
    help="Run these passes instead; see `onnxprune passes`.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="PLAN.json",
    help="Write which indices of which weights are kept.",
)
@click.option("--verify-each", is_flag=True, help="Prove the result of every pass.")
@delivering
def prune(source: Path, target: Path | None, **options: Any) -> None:
    """Prune the model IN and write it to OUT.

    Nothing is written before ONNX Runtime has shown, tensor by tensor, that the smaller model
    computes what the original computes with the removed channels masked.
    """
    pipeline = _pipeline(options)
    job = job_of(source, target, options)
    out = output()
    with out.progress():
        ready = prepare(job, out)
        result = pipeline.run(
            ready.model,
            input_shapes=options["input_shapes"],
            data=ready.calibration,
            progress=out.stage,
            verify_each=options["verify_each"],
        )
        analyses = [removal.analysis for removal in result.removals]
        for name in ("ignore", "no_quantize"):
            option = f"--{name.replace('_', '-')}"
            note_strays(out, option, options[name], ready.model, analyses)
        deliver(result, job, out, ready)
    show(out, job)


def job_of(source: Path, target: Path | None, options: dict[str, Any]) -> Job:
    """What the options of `delivering` ask for.

    Args:
        source: the model to read.
        target: the file to write; with `--in-place` it may be left out.
        options: the command's options.

    Raises:
        click.UsageError: the target is missing.
        UsageError: what is asked of the data makes no sense.
    """
    if target is None and not options["in_place"]:
        raise click.UsageError("Missing argument 'OUT'.", click.get_current_context())
    return Job(
        source=source,
        target=source if target is None else target,
        plan=options.get("plan"),
        verify=not options["no_verify"],
        benchmark=not options["no_benchmark"],
        provider=options["provider"],
        threads=options["threads"],
        strict=options["strict"],
        seed=options["seed"],
        in_place=options["in_place"],
        input_shapes=options["input_shapes"],
        wanted=wanted_of(options),
        calibration=calibration_of(options),
    )


_PLAIN = (
    "ratio",
    "threshold",
    "blocks",
    "scope",
    "criterion",
    "round_to",
    "repair",
    "steps",
    "schedule",
)
"""Options that mean what those of `pruning` mean."""


_AS_OPTION = {
    "ratio": "channels",
    "ratios": "ratio",
    "targets": "target-…",
    "round_to": "round-to",
    "sparsify": "sparsity",
    "sparse_storage": "sparse-storage",
}
"""What those are called on the command line that have another name there."""


def _pipeline(options: dict[str, Any]) -> Pipeline:
    given = {name: options[name] for name in _PLAIN if options[name] is not None}
    given |= read_settings(options["groups"]) if options["groups"] else {}
    if options["sparse_storage"]:
        given["sparse_storage"] = True
    kinds = parse_kinds(options["kinds"])
    if kinds is not None:
        given["kinds"] = kinds
    for name in ("ignore", "allow_io", "ratios"):
        if options[name]:
            given[name] = (*given.get(name, ()), *options[name])
    targets = chosen_targets(options)
    if targets:
        given["targets"] = targets
    for name, wanted in (("quantize", quantize_of(options)), ("sparsify", sparsify_of(options))):
        if wanted is not None:
            given[name] = wanted
    if options["lossless"]:
        return _lossless(given, options["pipeline"])
    if options["pipeline"] is None and given.keys() <= _ENDING and "quantize" in given:
        return quantizing(given["quantize"], sparse_storage="sparse_storage" in given)
    if options["pipeline"] is None:
        _check_amount(given)
        machine = {name: options[name] for name in ("provider", "threads")}
        return pruning(**given, **machine, seed=options["seed"])
    if given:
        name = next(iter(given))
        name = _AS_OPTION.get(name, name.replace("_", "-"))
        raise UsageError(
            f"--passes and --{name} exclude each other",
            hint="write the options into the pipeline: remove-channels{ratio=0.3}",
        )
    return Pipeline(options["pipeline"])


_ENDING = {"quantize", "repair", "sparse_storage"}
"""What may be asked for where nothing is pruned."""
_WITH_LOSSLESS = ("ignore", "allow_io", "round_to", "quantize", "sparse_storage")


def _lossless(given: dict[str, Any], pipeline: str | None) -> Pipeline:
    known = {name: given[name] for name in _WITH_LOSSLESS if name in given}
    harmless = {*known} if given.get("repair") else {*known, "repair"}
    others = [name for name in given if name not in harmless] + ["passes"] * bool(pipeline)
    if others:
        raise UsageError(
            f"--lossless and --{_AS_OPTION.get(others[0], others[0])} exclude each other",
            why="what is provably without effect is no matter of choice",
            hint="run onnxprune twice, with --lossless first",
        )
    return lossless(**known)


def _check_amount(given: dict[str, Any]) -> None:
    """How much is to go must be said, and said once; what only concerns some groups may stand."""
    target = given.get("targets", ("",))[0].partition("=")[0]
    said = {"ratio": "channels", "threshold": "threshold", "targets": f"target-{target}"}
    amounts = [option for name, option in said.items() if name in given]
    others = given.keys() & {"ratios", "minima", "blocks", "sparsify"}
    if not amounts and not others:
        raise click.UsageError(
            "Missing option '--channels': for example --channels 0.3, or a budget: "
            "--target-macs 0.5, or --sparsity 0.7, or --blocks 2",
            click.get_current_context(),
        )
    if others == {"sparsify"} and not amounts:
        _check_weights_only(given)
    elif "scope" in given and "ratio" not in given and not _takes_scope(given):
        amounts.append("scope")
        if "blocks" in given:
            amounts.insert(0, "blocks")
    if len(amounts) > 1:
        raise UsageError(
            f"--{amounts[0]} and --{amounts[1]} exclude each other",
            why="each of them says how much of a group is removed"
            if amounts[0] != "blocks"
            else "a scope is for --channels, which may stand beside --blocks",
        )
    if not amounts:
        given["ratio"] = 0.0


def _takes_scope(given: dict[str, Any]) -> bool:
    return "scope" in given.get("sparsify", {})


def _check_weights_only(given: dict[str, Any]) -> None:
    """Options of channels are of no use where none goes by choice."""
    for name in ("criterion", "kinds", *(() if _takes_scope(given) else ("scope",))):
        if name in given:
            raise UsageError(
                f"--{name} is of use only with --channels, --threshold or a budget",
                why="it is said of channels, and only single weights are to become zero",
            )
