"""The pieces for CI services, as far as they run without these."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pages import ROOT


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """What a step sees: `onnxprune` on its path, and no pytest of ours around it."""
    binaries = folder / "bin"
    binaries.mkdir(exist_ok=True)
    script = binaries / "onnxprune"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m onnxprune "$@"\n')
    script.chmod(0o755)
    known = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    paths = {"PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    return {**known, **paths, **variables}


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


@pytest.mark.parametrize(("macs", "code"), [(0.9, 0), (0.01, 1)])
def test_the_github_action(release: Path, macs: float, code: int) -> None:
    policy = release / "policy.toml"
    policy.write_text(policy.read_text() + f"[cost]\nmacs = {macs}\n")
    action = read(".github/actions/gate/action.yml")
    assert action["runs"]["using"] == "composite"
    step = action["runs"]["steps"][-1]
    assert {name: f"${{{{ inputs.{name.lower()} }}}}" for name in step["env"]} == step["env"]
    assert {name.lower() for name in step["env"]} <= action["inputs"].keys()
    inputs = {name: action["inputs"][name.lower()].get("default", "") for name in step["env"]}
    inputs |= {"POLICY": "policy.toml", "GITHUB_STEP_SUMMARY": str(release / "summary.md")}
    ran = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=release, env=environment(release, **inputs), capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == code, ran.stderr
    summary = (release / "summary.md").read_text()
    assert summary.startswith(f"### onnxprune: {'fail' if code else 'pass'}, `in.onnx`")
    assert "equivalence: **pass**" in summary
    assert (release / inputs["JUNIT"]).exists()


def test_the_gitlab_job(release: Path) -> None:
    job = read(".gitlab/gate.yml")[".onnxprune-gate"]
    ran = subprocess.run(
        ["bash", "-ec", "\n".join(job["script"])],
        cwd=release, env=environment(release, **job["variables"]), capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (release / job["artifacts"]["reports"]["junit"]).exists()


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("onnxprune-verify", ["in.onnx", "out.onnx", "--plan", "plan.json"]),
        ("onnxprune-gate", ["--policy", "policy.toml"]),
    ],
)
def test_the_pre_commit_hooks(release: Path, hook: str, arguments: list[str]) -> None:
    (entry,) = [entry for entry in read(".pre-commit-hooks.yaml") if entry["id"] == hook]
    assert entry["pass_filenames"] is False
    for code in (0, 1):
        ran = subprocess.run(
            [*entry["entry"].split(), *arguments],
            cwd=release, env=environment(release), capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == code, ran.stderr
        # The next time another model stands there.
        (release / "out.onnx").write_bytes((release / "in.onnx").read_bytes())


PLUGIN_TEST = """
def test_release(gate):
    assert gate("policy.toml")

def test_another(gate):
    assert gate("policy.toml", "in.onnx", "in.onnx")
"""


def test_the_pytest_plugin(release: Path) -> None:
    (release / "test_release.py").write_text(PLUGIN_TEST)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "onnxprune.gate.pytest_plugin",
         "-p", "no:cacheprovider", "--rootdir", str(release), "test_release.py"],
        cwd=release,
        env=environment(release, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True, text=True,
    )  # fmt: skip
    assert (ran.returncode, "1 failed, 1 passed" in ran.stdout) == (1, True), ran.stdout
    assert "<gate: fail>" in ran.stdout
    assert "Gate: fail" in ran.stdout


def test_the_plugin_is_registered() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert 'onnxprune = "onnxprune.gate.pytest_plugin"' in text
