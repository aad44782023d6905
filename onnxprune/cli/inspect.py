"""`onnxprune inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.options import (
    Shapes,
    allow_io_option,
    input_shape_option,
    json_option,
    kinds_option,
    parse_kinds,
    quiet_option,
    verbose_option,
)
from onnxprune.cli.study import study
from onnxprune.coupling.groups import DEFAULT_KINDS, choose
from onnxprune.errors import UsageError
from onnxprune.reports.inspection import inspection, print_inspection
from onnxprune.reports.sparsity import print_sparsity, sparsity


@command(short_help="List the coupling groups.", epilog="Example: onnxprune inspect in.onnx")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--sparsity",
    "zeros",
    is_flag=True,
    help="Show the zeros in weights instead: N:M patterns, empty channels, sizes of the file, and "
    "what each execution provider makes of them.",
)
@kinds_option
@allow_io_option
@input_shape_option
@json_option
@quiet_option
@verbose_option
def inspect(
    model: Path,
    zeros: bool,
    kinds: tuple[str, ...],
    allow_io: tuple[str, ...],
    input_shapes: Shapes,
) -> None:
    """List the coupling groups of MODEL, and what can be pruned of it; or its zeros."""
    if zeros and (kinds or allow_io):
        raise UsageError(
            f"--sparsity and --{'kinds' if kinds else 'allow-io'} exclude each other",
            why="zeros are shown for each weight, whatever coupling groups it belongs to",
        )
    wanted = parse_kinds(kinds) or DEFAULT_KINDS
    out = output()
    with out.progress():
        found = study(model, input_shapes, allow_io)
        if zeros:
            record = sparsity(found.model, found.analysis)
        else:
            chosen = choose(found.groups, wanted)
            record = inspection(found.model, found.analysis, found.groups, chosen)
    if out.as_json:
        out.document(record)
    elif not out.quiet:
        with out.stdout() as file:
            (print_sparsity if zeros else print_inspection)(record, file, model.name)
