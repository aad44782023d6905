"""`onnxprune explain`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.options import (
    Shapes,
    allow_io_option,
    input_shape_option,
    json_option,
    quiet_option,
    verbose_option,
)
from onnxprune.cli.study import study
from onnxprune.cli.values import inside, names_in_model
from onnxprune.coupling.explain import explain as explain_name
from onnxprune.coupling.explain import render


@command(
    short_help="Say why an axis can be pruned, or why not.",
    epilog="Example: onnxprune explain in.onnx /layer1/conv1/Conv",
)
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.argument("name", metavar="NODE_OR_TENSOR", shell_complete=names_in_model(inside))
@allow_io_option
@input_shape_option
@json_option
@quiet_option
@verbose_option
def explain(model: Path, name: str, allow_io: tuple[str, ...], input_shapes: Shapes) -> None:
    """Say why axes of NODE_OR_TENSOR can be pruned, together with what, or why not."""
    out = output()
    with out.progress():
        found = study(model, input_shapes, allow_io)
        explanation = explain_name(found.analysis, found.groups, name)
    if out.as_json:
        out.document({"schema": 1, "explanation": asdict(explanation)})
    elif not out.quiet:
        with out.stdout() as file:
            file.write("\n".join(render(explanation)) + "\n")
