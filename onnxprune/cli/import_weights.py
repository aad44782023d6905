"""`onnxprune import-weights`."""

from __future__ import annotations

from pathlib import Path

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.options import json_option, quiet_option, verbose_option
from onnxprune.cli.targets import check_distinct, check_target, check_weights
from onnxprune.data.arrays import named_arrays
from onnxprune.ir.load import load
from onnxprune.pipelines.weights import import_weights
from onnxprune.reports.record import SCHEMA


@command(
    "import-weights",
    short_help="Write fine-tuned weights into a model.",
    epilog="Example: onnxprune import-weights pruned.onnx finetuned.pt out.onnx",
)
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.argument("weights", metavar="WEIGHTS", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="WEIGHT=ARRAY",
    help="The array for a weight that is called otherwise, such as a.bias::2=b.bias.",
)
@click.option("--partial", is_flag=True, help="Allow names that do not match.")
@click.option("--in-place", is_flag=True, help="Allow to replace MODEL.")
@json_option
@quiet_option
@verbose_option
def import_weights_command(
    model: Path,
    weights: Path,
    target: Path,
    pairs: tuple[str, ...],
    partial: bool,
    in_place: bool,
) -> None:
    """Write WEIGHTS (.npz, .safetensors, .pt) into those of MODEL that have their names.

    Shapes must be those of MODEL, which is pruned; everything else of it stays.
    """
    out = output()
    check_target(target)
    check_distinct(model, target, in_place)
    check_distinct(weights, target, what="the weights")
    names = dict(_pair(text) for text in pairs)
    with out.progress():
        loaded = load(model)
        check_weights(loaded, target, in_place)
        imported = import_weights(loaded, named_arrays(weights), names=names, strict=not partial)
        imported.model.save(target)
    out.record.update(
        {
            "schema": SCHEMA,
            "written": list(imported.written),
            "kept": list(imported.kept),
            "unused": list(imported.unused),
        }
    )
    if out.as_json:
        out.document(out.record)
    elif not out.quiet:
        with out.stdout() as file:
            file.write(
                f"{target}: {len(imported.written)} weights written, {len(imported.kept)} kept, "
                f"{len(imported.unused)} arrays not used\n"
            )


def _pair(text: str) -> tuple[str, str]:
    weight, equals, array = text.partition("=")
    if not (weight and equals and array):
        raise click.BadParameter(f"{text!r} is not WEIGHT=ARRAY", param_hint="--map")
    return weight, array
