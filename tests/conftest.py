"""What holds for every test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep nothing in the caches of whoever runs the tests, and take nothing from there."""
    monkeypatch.setenv("ONNXPRUNE_CACHE", "")
