"""The command group: `prune` where no command is named, and one place where errors end."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from onnxprune.cli.console import Output, output
from onnxprune.cli.reporting import write_reports
from onnxprune.cli.values import models
from onnxprune.cli.version import version
from onnxprune.errors import EXIT_INTERRUPTED, InternalError, OnnxPruneError, UsageError, WriteError
from onnxprune.reports.provenance import completed
from onnxprune.reports.record import SCHEMA, Record, failed

DEFAULT = "prune"
"""The command that runs where none is named."""
DEBUG = "ONNXPRUNE_DEBUG"
"""Environment variable: set, it shows the traceback of an internal error."""

_ARGUMENTS = "onnxprune.arguments"


class OnnxPruneGroup(click.Group):
    """All commands, with `DEFAULT` for those who name none."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front where the first argument is an option of it.

        Args:
            ctx: the group's context.
            args: the arguments of the command line.
        """
        ctx.meta[_ARGUMENTS] = list(args)
        if args and args[0].startswith("-") and not self._is_own(args[0], ctx):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def _is_own(self, option: str, ctx: click.Context) -> bool:
        """Whether an option is one of the group's, or looks more like one than the default's."""
        own, others = (
            {name for param in command.get_params(ctx) for name in param.opts}
            for command in (self, self.commands[DEFAULT])
        )
        close = difflib.get_close_matches(option, own | others, n=1)
        return option in own or (option not in others and close[:1] != [] and close[0] in own)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the first argument: a command, a model, or an option of the default command.

        Args:
            ctx: the group's context.
            incomplete: what there is of it.
        """
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            found += self.commands[DEFAULT].shell_complete(ctx, incomplete)
        found += models(incomplete)
        return found or [CompletionItem(incomplete, type="file")]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take the default command where the first argument names none.

        Args:
            ctx: the group's context.
            args: what follows the group's own options.
        """
        if args[0] not in self.commands:
            if not ctx.resilient_parsing:
                _refuse_typo(args[0], self.commands)
            args = [DEFAULT, *args]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and turn what goes wrong into a message and an exit code.

        Args:
            ctx: the group's context.
        """
        out = output()
        out.as_json = "--json" in ctx.meta[_ARGUMENTS]
        out.record["command"] = ["onnxprune", *ctx.meta[_ARGUMENTS]]
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, SystemExit):
            raise
        except click.ClickException as error:
            _explain_usage(error, out)
            ctx.exit(UsageError.exit_code)
        except (click.Abort, KeyboardInterrupt):
            _explain_interruption(out)
            ctx.exit(EXIT_INTERRUPTED)
        except OnnxPruneError as error:
            _explain(error, out)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            ctx.exit(WriteError.exit_code)
        except Exception as error:  # the last resort: reported with its type, ends the command
            _explain(_internal(error), out, out.verbose)
            ctx.exit(InternalError.exit_code)


def _refuse_typo(first: str, commands: Iterable[str]) -> None:
    if os.sep in first or Path(first).suffix or Path(first).exists():
        return
    close = difflib.get_close_matches(first, list(commands), n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Commands: {', '.join(sorted(commands))}."
    raise click.UsageError(f"There is no command and no file {first!r}. {hint}")


def _explain(error: OnnxPruneError, out: Output, trace: bool = False) -> None:
    if trace or os.environ.get(DEBUG):
        traceback.print_exception(error.__cause__ or error, file=sys.stderr)
    click.echo(f"onnxprune: {error.render()}", err=True)
    _conclude(failed(out.record, error), out)


def _explain_usage(error: click.ClickException, out: Output) -> None:
    error.show()
    _conclude(failed(out.record, UsageError(error.format_message())), out)


def _explain_interruption(out: Output) -> None:
    click.echo("onnxprune: interrupted", err=True)
    error = {"message": "interrupted", "exit_code": EXIT_INTERRUPTED}
    _conclude({**out.record, "schema": SCHEMA, "status": "failed", "error": error}, out)


def _conclude(record: Record, out: Output) -> None:
    """Hand out the record of a run that ended with an error; a report that fails is no other."""
    if out.inputs:
        record["provenance"] = completed(record.get("provenance", {}), out.inputs)
    try:
        write_reports(out, record)
    except WriteError as error:
        click.echo(f"onnxprune: {error.render()}", err=True)
    if out.as_json:
        out.document(record)


def _internal(error: Exception) -> OnnxPruneError:
    wrapped = InternalError(
        f"internal error: {type(error).__name__}: {error}",
        hint="please report this line with the command, the model and what `onnxprune doctor` says "
        f"(this is onnxprune {version()}); --verbose shows where it happened",
    )
    wrapped.__cause__ = error
    return wrapped
