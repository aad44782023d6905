"""What is shown of long work: only on a terminal, and never more than fits."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console

import onnxprune.cli.display
from onnxprune.cli.console import Output
from onnxprune.cli.display import Display
from onnxprune.progress import tell, track

Run = Callable[..., Result]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What a terminal of 80 columns would be sent."""
    screen = Terminal()

    def console(*, stderr: bool) -> Console:
        assert stderr
        return Console(file=screen, width=80, force_terminal=True, color_system=None)

    monkeypatch.setattr(onnxprune.cli.display, "Console", console)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def lines_of(display: Display) -> list[str]:
    """The lines as they stand now."""
    table = display.progress.get_renderable()
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(table)
    shown = console.file
    assert isinstance(shown, io.StringIO)
    return [line.rstrip() for line in shown.getvalue().splitlines()]
