"""The command `onnxprune` with all its subcommands."""

import click

from onnxprune.cli.apply import apply
from onnxprune.cli.benchmark import benchmark
from onnxprune.cli.completion import completion
from onnxprune.cli.doctor import doctor
from onnxprune.cli.explain import explain
from onnxprune.cli.gate import gate
from onnxprune.cli.graph import graph
from onnxprune.cli.group import OnnxPruneGroup
from onnxprune.cli.import_weights import import_weights_command
from onnxprune.cli.inspect import inspect
from onnxprune.cli.passes import passes
from onnxprune.cli.prune import prune
from onnxprune.cli.sensitivity import sensitivity_command
from onnxprune.cli.verify import verify
from onnxprune.cli.version import version

_EPILOG = """\b
Examples:
  onnxprune in.onnx out.onnx --channels 0.3
  onnxprune inspect in.onnx
  onnxprune prune --help

\b
Exit codes: 0 done; 1 a check said no; 2 wrong usage; 3 the model cannot be
handled, or nothing can be pruned; 4 a provider is not available; 5 internal
error; 6 cannot tell; 7 the result could not be written; 130 interrupted.
"""


@click.group(
    cls=OnnxPruneGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    options_metavar="",
    subcommand_metavar="[COMMAND] ARGUMENTS…",
)
@click.version_option(version(), prog_name="onnxprune", message="%(prog)s %(version)s")
def cli() -> None:
    """Make ONNX models smaller and faster, and prove what was done.

    The command `prune` is meant where none is named: onnxprune IN OUT --channels 0.3
    """


for _command in (
    prune,
    inspect,
    explain,
    graph,
    sensitivity_command,
    verify,
    benchmark,
    gate,
    apply,
    import_weights_command,
    passes,
    doctor,
    completion,
):
    cli.add_command(_command)
