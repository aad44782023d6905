"""`onnxprune graph`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.options import Shapes, input_shape_option, quiet_option, verbose_option
from onnxprune.cli.study import study
from onnxprune.cli.targets import check_distinct, check_target
from onnxprune.coupling.dependency import dependency_graph, to_dot, to_graphml, to_json
from onnxprune.files import write_text


@command(
    short_help="Write the dependency graph.",
    epilog="Example: onnxprune graph in.onnx --format dot | dot -Tsvg > couplings.svg",
)
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["dot", "graphml", "json"]),
    default="dot",
    show_default=True,
    help="Graphviz, GraphML (Gephi, yEd, networkx), or networkx's node-link JSON.",
)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to a file instead of stdout.",
)
@input_shape_option
@quiet_option
@verbose_option
def graph(model: Path, form: str, target: Path | None, input_shapes: Shapes) -> None:
    """Write the dependency graph of MODEL: operators, values, weights, coupling groups."""
    if target is not None and model.is_file():
        check_distinct(model, target, in_place=False)
        check_target(target)
    out = output()
    with out.progress():
        found = study(model, input_shapes)
        made = dependency_graph(found.analysis, found.groups)
        if form == "json":
            text = json.dumps(to_json(made), indent=1) + "\n"
        else:
            text = to_dot(made) if form == "dot" else to_graphml(made) + "\n"
    if target is None:
        with out.stdout() as file:
            file.write(text)
    else:
        write_text(target, text)
