"""The command line: thin commands over the library."""

from onnxprune.cli.commands import cli


def main() -> None:
    """Run the command line; ends the process with the exit code of `onnxprune.errors`."""
    cli.main(prog_name="onnxprune")


__all__ = ["cli", "main"]
