"""`onnxprune completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.options import quiet_option, verbose_option

_SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "onnxprune"
_VARIABLE = "_ONNXPRUNE_COMPLETE"


@command(
    short_help="Print what makes a shell complete commands.",
    epilog="""\b
Examples:
  onnxprune completion bash >> ~/.bashrc
  onnxprune completion zsh >> ~/.zshrc
  onnxprune completion fish > ~/.config/fish/completions/onnxprune.fish
""",
)
@click.argument("shell", type=click.Choice(_SHELLS))
@quiet_option
@verbose_option
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, values and names in models.

    The script asks onnxprune itself, so that it stays as it is when onnxprune changes.
    """
    out = output()
    kind = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    text = "" if kind is None else kind(root, {}, _PROGRAM, _VARIABLE).source()
    with out.stdout() as file:
        file.write(text)
