"""Where output goes: the report to stdout, progress and messages to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from onnxprune.reports.record import Record, plain

_KEY = "onnxprune.output"


@dataclass(slots=True)
class Output:
    """What a command says, and how.

    Attributes:
        as_json: whether stdout holds one JSON document and nothing else.
        quiet: whether only errors are shown.
        record: what is known so far; an error completes it to the document that `--json` shows.
    """

    as_json: bool = False
    quiet: bool = False
    record: Record = field(default_factory=dict[str, Any])
    _progress: Progress | None = None

    def document(self, record: Mapping[str, Any]) -> None:
        """Write a record to stdout as the one JSON document."""
        click.echo(json.dumps(plain(record), indent=2, allow_nan=False, ensure_ascii=False))

    def note(self, text: str) -> None:
        """Say something on stderr."""
        if not self.quiet:
            click.echo(text, err=True)

    @contextmanager
    def progress(self) -> Iterator[None]:
        """Show what goes on, on stderr and only if that is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        shown = Progress(*columns, console=Console(stderr=True), transient=True)
        with shown:
            shown.add_task("loading", total=None)
            self._progress = shown
            try:
                yield
            finally:
                self._progress = None

    def stage(self, name: str) -> None:
        """Say what goes on from now on."""
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], description=name[:60])


def output() -> Output:
    """The output of the command that runs; one for each invocation."""
    meta = click.get_current_context().find_root().meta
    if _KEY not in meta:
        meta[_KEY] = Output()
    made: Output = meta[_KEY]
    return made
