"""How far the work is, as lines on stderr that go when it is done."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from rich.console import Console
from rich.progress import (
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from onnxprune.progress import listening

_SHOWN = 40
"""Longer texts are cut, so that times have room beside them in 80 columns."""
_BETWEEN_S = 0.1
"""A part is shown anew so often, however often it is told."""


@dataclass(slots=True, eq=False)
class Display:
    """A line for the stage, and below it one for the outermost and innermost part of it.

    Attributes:
        progress: the lines; the first is that of the stage.
    """

    progress: Progress
    _last: str = ""
    _next_s: float = 0.0

    @classmethod
    @contextmanager
    def shown(cls) -> Generator[Display]:
        """Show a display meanwhile, which hears of all progress."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
            _Left(),
        )
        display = cls(Progress(*columns, console=Console(stderr=True), transient=True))
        with display.progress, listening(display.advance):
            display.progress.add_task("loading", total=None, detail="")
            yield display

    def stage(self, name: str) -> None:
        """Say what goes on from now on."""
        stage, *parts = self.progress.task_ids
        for part in parts:
            self.progress.remove_task(part)
        self.progress.update(stage, description=_shortened(name), detail="")

    def advance(self, what: str, done: int, total: int | None) -> None:
        """Say how far a part of the stage is; see `onnxprune.progress.Listener`."""
        is_step = done not in (0, total)
        now = monotonic()
        if total == 1 or (is_step and what == self._last and now < self._next_s):
            return
        self._last, self._next_s = what, now + _BETWEEN_S
        names = [task.description for task in self.progress.tasks[1:]]
        title = _shortened(f"  {what}")
        place = names.index(title) if title in names else len(names)
        # What began within it is over, and what begins anew is timed anew.
        for over in self.progress.task_ids[1 + place + is_step :]:
            self.progress.remove_task(over)
        if done != total:
            if not is_step or title not in names:
                self.progress.add_task(title, total=total, detail="")
            detail = f"{done:,}" if total is None else f"{done:,} of {total:,}"
            task = self.progress.tasks[1 + place]
            whole_s = (task.elapsed or 0.0) * total / done if done and total else None
            self.progress.update(task.id, detail=detail, whole_s=whole_s)
        _, *parts = self.progress.task_ids
        for part in parts:
            self.progress.update(part, visible=part in (parts[0], parts[-1]))


class _Left(ProgressColumn):
    """The time left, if all steps take as long as those that are done; counted down between."""

    def render(self, task: Task) -> Text:
        """Show it; nothing where nothing is done yet, or nobody knows how much there is."""
        whole_s: float | None = task.fields.get("whole_s")
        if whole_s is None:
            return Text("")
        left_s = max(round(whole_s - (task.elapsed or 0.0)), 0)
        return Text(f"{timedelta(seconds=left_s)} left", style="progress.remaining")


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
