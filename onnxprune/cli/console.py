"""Where output goes: the report to stdout, progress and messages to stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import (
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from onnxprune.errors import WriteError
from onnxprune.progress import listening
from onnxprune.reports.record import Record, plain

_KEY = "onnxprune.output"
_STAGE_SHOWN = 44
_BETWEEN_S = 0.1
"""Progress is shown so often, however often it is told."""


@dataclass(slots=True)
class Output:
    """What a command says, and how.

    Attributes:
        as_json: whether stdout holds one JSON document and nothing else.
        quiet: whether only errors are shown.
        verbose: whether the log is shown, and the traceback of an internal error.
        record: what is known so far; an error completes it to the document that `--json` shows.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    record: Record = field(default_factory=dict[str, Any])
    _progress: Progress | None = None
    _next_s: float = 0.0

    def document(self, record: Mapping[str, Any]) -> None:
        """Write a record to stdout as the one JSON document.

        Args:
            record: the record.

        Raises:
            WriteError: stdout takes no more.
        """
        with self.stdout() as file:
            json.dump(plain(record), file, indent=2, allow_nan=False, ensure_ascii=False)
            file.write("\n")

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
        """Say something on stderr."""
        if not self.quiet:
            click.echo(text, err=True)

    @contextmanager
    def progress(self) -> Generator[None]:
        """Show what goes on, on stderr and only if that is a terminal."""
        piped = self.as_json and not sys.stdout.isatty()
        if self.quiet or piped or not sys.stderr.isatty():
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
        )
        shown = Progress(*columns, console=Console(stderr=True), transient=True)
        with shown, listening(self._advance):
            shown.add_task("loading", total=None, detail="")
            self._progress = shown
            try:
                yield
            finally:
                self._progress = None

    def stage(self, name: str) -> None:
        """Say what goes on from now on."""
        if self._progress is not None:
            stage, *parts = self._progress.task_ids
            for part in parts:
                self._progress.remove_task(part)
            self._progress.update(stage, description=_shortened(name), detail="")

    def _advance(self, what: str, done: int, total: int | None) -> None:
        """Show how far a part of the stage is, and how long it will still take."""
        shown, now = self._progress, monotonic()
        at_end = done in (0, total)
        if shown is None or (now < self._next_s and not at_end):
            return
        self._next_s = now + _BETWEEN_S
        names = [task.description for task in shown.tasks[1:]]
        title = _shortened(f"  {what}")
        place = names.index(title) if title in names else len(names)
        # What began within it is over, and what begins anew is timed anew.
        for over in shown.task_ids[1 + place + (not at_end) :]:
            shown.remove_task(over)
        if done != total:
            if at_end or title not in names:
                shown.add_task(title, total=total, detail="")
            detail = f"{done:,}" if total is None else f"{done:,} of {total:,}"
            shown.update(shown.task_ids[1 + place], completed=done, detail=detail)


def _shortened(text: str) -> str:
    """A text that leaves room for times on a line of 80 columns."""
    return text if len(text) <= _STAGE_SHOWN else text[: _STAGE_SHOWN - 1] + "…"


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
