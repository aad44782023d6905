"""`onnxprune inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from onnxprune.cli.console import output
from onnxprune.cli.options import (
    Shapes,
    allow_io_option,
    input_shape_option,
    json_option,
    kinds_option,
    parse_kinds,
    verbose_option,
)
from onnxprune.cli.study import study
from onnxprune.coupling.groups import DEFAULT_KINDS, choose
from onnxprune.reports.inspection import inspection, print_inspection


@click.command(short_help="List the coupling groups.", epilog="Example: onnxprune inspect in.onnx")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@kinds_option
@allow_io_option
@input_shape_option
@json_option
@verbose_option
def inspect(
    model: Path, kinds: tuple[str, ...], allow_io: tuple[str, ...], input_shapes: Shapes
) -> None:
    """List the coupling groups of MODEL, and what can be pruned of it."""
    wanted = parse_kinds(kinds) or DEFAULT_KINDS
    out = output()
    with out.progress():
        found = study(model, input_shapes, allow_io)
        record = inspection(found.model, found.analysis, found.groups, choose(found.groups, wanted))
    if out.as_json:
        out.document(record)
    else:
        with out.stdout() as file:
            print_inspection(record, file, model.name)
