"""Where output goes: the report to stdout, progress and messages to stderr."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from onnxprune.cli.display import Display
from onnxprune.errors import WriteError
from onnxprune.reports.record import Record
from onnxprune.reports.render import json_text

_KEY = "onnxprune.output"
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Output:
    """What a command says, and how.

    Attributes:
        as_json: whether stdout holds one JSON document and nothing else.
        quiet: whether only errors are shown.
        verbose: whether the log is shown, and the traceback of an internal error.
        record: what is known so far; an error completes it to the document that `--json` shows.
        reports: files that the record is written to in the end.
        inputs: what the command reads, by what it is to the record.
        told: notes of the record that were shown already.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    record: Record = field(default_factory=dict[str, Any])
    reports: tuple[Path, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict[str, str])
    told: list[str] = field(default_factory=list[str])
    _display: Display | None = None

    def document(self, record: Mapping[str, Any]) -> None:
        """Write a record to stdout as the one JSON document.

        Args:
            record: the record.

        Raises:
            WriteError: stdout takes no more.
        """
        with self.stdout() as file:
            file.write(json_text(record))

    @contextmanager
    def stdout(self) -> Generator[IO[str]]:
        """Write to stdout.

        Raises:
            WriteError: it takes no more; a reader that went away is none of it.
        """
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            _drop_stdout()
            raise
        except OSError as error:
            _drop_stdout()
            raise WriteError(
                "the report could not be written to stdout", why=error.strerror or str(error)
            ) from error

    def note(self, text: str) -> None:
        """Say something on stderr, and note it in the record."""
        self.record["notes"] = [*self.record.get("notes", ()), text]
        self.told.append(text)
        if not self.quiet:
            click.echo(text, err=True)

    @contextmanager
    def progress(self) -> Generator[None]:
        """Show what goes on, on stderr and only where somebody looks: on a terminal."""
        piped = self.as_json and not sys.stdout.isatty()
        if self.quiet or piped or not sys.stderr.isatty():
            yield
            return
        with Display.shown() as self._display:
            try:
                yield
            finally:
                self._display = None

    def stage(self, name: str) -> None:
        """Say what goes on from now on."""
        _LOG.debug("stage: %s", name)
        if self._display is not None:
            self._display.stage(name)


@contextmanager
def logged() -> Generator[None]:
    """Show the log of the package on stderr, above the progress, as long as this lasts."""
    logger = logging.getLogger("onnxprune")
    handler, level = _ToStderr(), logger.level
    handler.setFormatter(logging.Formatter("%(relativeCreated)7d ms  %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _ToStderr(logging.Handler):
    """Writes to what stderr is at the time: progress takes its place for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def _drop_stdout() -> None:
    """Send what is left in the buffer nowhere: Python would complain about it at its end."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def output() -> Output:
    """The output of the command that runs; one for each invocation."""
    meta = click.get_current_context().find_root().meta
    if _KEY not in meta:
        meta[_KEY] = Output()
    made: Output = meta[_KEY]
    return made
