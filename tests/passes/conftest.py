"""What holds for every test of a pass."""

from __future__ import annotations

import pytest

from tests.passes.samples import begin_anew


@pytest.fixture(autouse=True)
def fresh_numbers() -> None:
    """Each test draws the same numbers, whichever ran before it."""
    begin_anew()
