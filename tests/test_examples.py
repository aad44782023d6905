"""The examples run, on the networks of `fixtures/`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import onnxprune as op
from tests.pages import ROOT

EXAMPLES = ROOT / "tools/examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.iterdir() if not path.suffix)
MADE = {
    "ci": "candidate.onnx",
    "quantized": "smaller.onnx",
    "transformer": "transformer.onnx",
    "vision": "vision.onnx",
}


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    """A folder with `onnxprune`, as this interpreter has it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "onnxprune"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m onnxprune "$@"\n')
    script.chmod(0o755)
    return folder


def run(*command: str | Path, binaries: Path, folder: Path) -> str:
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    known = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    ran = subprocess.run(
        [str(part) for part in (*command, folder)],
        env={**known, "PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_every_example_is_run() -> None:
    assert sorted(MADE) == SCRIPTS
    assert [path.name for path in EXAMPLES.glob("*.py")] == ["finetune.py"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_examples_make_smaller_models(name: str, binaries: Path, tmp_path: Path) -> None:
    shown = run("bash", EXAMPLES / name, binaries=binaries, folder=tmp_path)
    assert re.search(r"[Ee]quivalence: pass", shown)
    made = op.load(tmp_path / MADE[name])
    assert made.parameters < 190_000  # the originals have 197,450 and 202,186


def test_fine_tuning(binaries: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the example trains with PyTorch")
    shown = run(sys.executable, EXAMPLES / "finetune.py", binaries=binaries, folder=tmp_path)
    assert "trained on" in shown
    before, after = (op.load(tmp_path / f"{name}.onnx") for name in ("network", "tuned"))
    assert after.parameters < 0.6 * before.parameters
