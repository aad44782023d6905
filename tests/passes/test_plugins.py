"""Criteria and selectors of other packages are found by their entry points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import onnxprune as op
from onnxprune.errors import UsageError
from onnxprune.passes.plugins import Registry
from tests.conftest import Run
from tests.texts import model_of

SOURCE = """
import numpy as np

def first_matter(scoring):
    \"\"\"The lower the index, the more it matters.\"\"\"
    return {g: -np.arange(g.size, dtype=float) for g in scoring.groups}

def only_two(selection):
    \"\"\"Two indices of every group.\"\"\"
    return selection.keep_counts(dict.fromkeys(selection.scores, 2))
"""
ENTRIES = """
[onnxprune.criteria]
first-matter = sample_plugin:first_matter
broken = sample_plugin:missing
[onnxprune.selectors]
only-two = sample_plugin:only_two
"""
TEXT = "g (float[n,3] x) => (float[n,3] y) { h = MatMul(x, w1)  y = MatMul(h, w2) }"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "sample_plugin.py").write_text(SOURCE)
    info = tmp_path / "sample_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sample-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    Registry.forget()
    yield
    Registry.forget()


@pytest.mark.usefixtures("plugin")
def test_they_are_used_by_name() -> None:
    model = model_of(TEXT, {"w1": (3, 10), "w2": (10, 3)})
    result = op.prune(model, 0.3, criterion="first-matter", scope="only-two", round_to=1)
    assert result.model.constants["w1"].shape == (3, 2)
    kept = result.model.constants["w1"].numpy()
    assert (kept == model.constants["w1"].numpy()[:, :2]).all()
    assert result.verify().passed


@pytest.mark.usefixtures("plugin")
def test_they_are_listed(run: Run) -> None:
    listed = run("passes")
    assert listed.exit_code == 0
    assert "first-matter: The lower the index, the more it matters." in listed.output
    assert "only-two: Two indices of every group." in listed.output
    document = json.loads(run("passes", "--json").stdout)
    assert "broken" in document["criterion"]
    assert "cannot be loaded" in document["criterion"]["broken"]


@pytest.mark.usefixtures("plugin")
def test_a_broken_one_says_so() -> None:
    model = model_of(TEXT, {"w1": (3, 10), "w2": (10, 3)})
    with pytest.raises(UsageError, match="cannot be loaded") as raised:
        op.prune(model, 0.3, criterion="broken")
    assert "sample_plugin:missing" in raised.value.where


def test_there_is_nothing_of_that_name() -> None:
    with pytest.raises(UsageError, match="no scope 'globl'") as raised:
        op.passes.RemoveChannels(scope="globl")
    assert "did you mean 'global'?" in raised.value.hint
