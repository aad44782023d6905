"""Sessions over models in memory know what they are sessions of."""

import os
from pathlib import Path
from typing import Any

import pytest

import onnxprune as op
from onnxprune.verify import sessions
from tests.conftest import FIXTURES

FIXTURE = FIXTURES / "digits_cnn.ts.onnx"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What sessions were made of, and how."""
    calls: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(sessions, "Session", lambda source, **how: calls.append((source, how)))
    return calls


@pytest.mark.parametrize("threshold", [0, 2**30])
def test_engines_are_kept_by_the_weights_however_the_model_is_stored(
    threshold: int, opened: list[tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "EXTERNAL_THRESHOLD_BYTES", threshold)
    model = op.load(FIXTURE)
    with sessions.session_of(model, provider="tensorrt:trt_fp16_enable=1"):
        pass
    ((source, how),) = opened
    assert isinstance(source, bytes if threshold else Path)
    assert how["model_sha256"] == model.sha256


def test_no_hash_is_taken_where_nobody_needs_it(opened: list[tuple[Any, dict[str, Any]]]) -> None:
    with sessions.session_of(op.load(FIXTURE), threads=0, strict=True):
        pass
    ((_, how),) = opened
    assert (how["model_sha256"], how["strict"]) == ("", True)
    assert how["threads"] == os.cpu_count()
