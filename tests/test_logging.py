"""The log: what a developer wants to know, and nothing unless somebody asks for it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import onnxprune as op
from tests.conftest import FIXTURES, Run

CNN = FIXTURES / "digits_cnn.ts.onnx"
SCRIPT = """
import sys
import onnxprune as op
result = op.prune(sys.argv[1], 0.3)
result.verify()
result.model.save(sys.argv[2])
op.load(sys.argv[2])
"""


def test_the_library_is_silent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(CNN), str(tmp_path / "out.onnx")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_the_log_tells(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.DEBUG, "onnxprune"):
        result = op.prune(CNN, 0.3, repair=True)
        result.verify()
        result.model.save(tmp_path / "out.onnx")
        result.plan.save(tmp_path / "plan.json")
    told = {(record.name, record.getMessage().split()[0]) for record in caplog.records}
    assert told >= {
        ("onnxprune.ir.load", "read"),
        ("onnxprune.ir.canonical", "canonical"),
        ("onnxprune.coupling.analysis", "analysed"),
        ("onnxprune.pipelines.pipeline", "remove-channels:"),
        ("onnxprune.passes.repair.rounds", "repairing,"),
        ("onnxprune.runtime.session", "session"),
        ("onnxprune.verify.equivalence", "compared"),
        ("onnxprune.ir.save", "wrote"),
        ("onnxprune.files", "wrote"),
    }
    assert all(record.levelno <= logging.INFO for record in caplog.records)


def test_caches_tell_of_hits_and_misses(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONNXPRUNE_CACHE", str(tmp_path))
    for expected in ("0 outcomes known", "5 outcomes known"):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "onnxprune.passes.measure"):
            op.sensitivity(CNN, ratios=[0.5], kinds=["residual"])
        (record,) = caplog.records
        assert record.getMessage().startswith(expected)


@pytest.mark.parametrize("flag", ["--verbose", "-v"])
def test_verbose_shows_it_on_stderr(run: Run, flag: str) -> None:
    ran = run("inspect", CNN, "--json", flag)
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["groups"]
    assert "onnxprune.coupling.analysis: analysed" in ran.stderr
    again = run("inspect", CNN, "--json")
    assert (again.stdout, again.stderr) == (ran.stdout, "")


def test_quiet_and_verbose_exclude_each_other(run: Run) -> None:
    for flags in (["-q", "-v"], ["--verbose", "--quiet"]):
        ran = run("inspect", CNN, *flags)
        assert (ran.exit_code, "exclude each other" in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", CNN),
        ("explain", CNN, "logits"),
        ("passes",),
        ("verify", CNN, CNN),
    ],
)
def test_quiet_says_nothing(run: Run, arguments: tuple[object, ...]) -> None:
    ran = run(*arguments, "--quiet")
    assert (ran.exit_code, ran.output) == (0, "")
