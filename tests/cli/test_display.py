"""What is shown of long work: only where somebody looks, and never more than fits."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

import onnxprune.cli.display
from onnxprune.cli.console import Output
from onnxprune.cli.display import Display
from onnxprune.progress import tell, track
from tests.streams import Terminal

NAME = "remove-channels{ratio=0.3,criterion=l2,kinds=head|channel|residual}"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What a terminal of 80 columns would be sent."""
    screen = Terminal()

    def console(*, stderr: bool) -> Console:
        assert stderr
        return Console(file=screen, width=80, force_terminal=True, color_system=None)

    monkeypatch.setattr(onnxprune.cli.display, "Console", console)
    return screen


def lines_of(display: Display) -> list[str]:
    """The lines as they stand, without the spinner."""
    file = io.StringIO()
    Console(file=file, width=80, color_system=None).print(display.progress.get_renderable())
    return [line[2:].rstrip() for line in file.getvalue().splitlines()]


def test_the_outermost_and_the_innermost_part_are_shown(screen: Terminal) -> None:
    with Display.shown() as display:
        display.stage(NAME)
        for turn in track(range(3), "turns"):
            for _ in track("ab", "between"):
                for step in track(range(12345), "steps"):
                    if (turn, step) == (1, 9999):
                        display.advance("steps", 0, 12345)
                        stage, outer, inner = lines_of(display)
        left = lines_of(display)
    assert stage.startswith("remove-channels{ratio=0.3,criterion=l2,… ")
    assert outer.startswith("  turns")
    assert "1 of 3" in outer
    assert outer.endswith(" left")
    assert inner.startswith("  steps")
    assert "0 of 12,345" in inner
    assert not inner.endswith("left")
    assert len(left) == 1
    assert screen.getvalue()


def test_a_loop_that_was_left_is_gone_with_the_next_turn(screen: Terminal) -> None:
    with Display.shown() as display:
        for turn in track(range(3), "turns"):
            if turn == 2:
                seen = lines_of(display)
            for _ in track(range(9), "within"):
                break
        tell("once", 0, 1)
        display.stage("next")
        assert [line.split()[0] for line in lines_of(display)] == ["next"]
    assert [line.split()[0] for line in seen] == ["loading", "turns"]


@pytest.mark.parametrize(
    ("output", "stderr", "stdout"),
    [
        (Output(), io.StringIO(), Terminal()),
        (Output(quiet=True), Terminal(), Terminal()),
        (Output(as_json=True), Terminal(), io.StringIO()),
    ],
)
def test_nothing_is_drawn_where_nobody_looks(
    output: Output, stderr: io.StringIO, stdout: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "stdout", stdout)
    with output.progress():
        output.stage("working")
        assert list(track("ab", "letters")) == ["a", "b"]
    assert stderr.getvalue() == ""


def test_it_is_drawn_on_a_terminal(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", screen)
    for output in (Output(), Output(as_json=True)):
        with output.progress():
            output.stage("working")
    assert screen.getvalue().count("working") >= 2


def test_a_long_text_leaves_room(screen: Terminal) -> None:
    with Display.shown() as display:
        display.stage(NAME)
        display.advance(NAME, 0, 12_345_678)
        display.advance("x", 0, 99_999)
        lines = lines_of(display)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 78
