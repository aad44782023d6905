"""What holds for every test, and the command line for those that call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from onnxprune.cli import cli

FIXTURES = Path(__file__).parents[1] / "fixtures"

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def no_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep nothing in the caches of whoever runs the tests, and take nothing from there."""
    monkeypatch.setenv("ONNXPRUNE_CACHE", "")


@pytest.fixture
def run() -> Run:
    """Runs the command line in this process."""
    return lambda *arguments: CliRunner().invoke(cli, [str(part) for part in arguments])
