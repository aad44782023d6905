"""What holds for every command: help, versions, errors, pipes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from onnxprune.cli import cli
from onnxprune.cli.group import DEBUG
from tests.conftest import Run


def onnxprune(*arguments: object, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "onnxprune", *map(str, arguments)]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_help_has_examples(run: Run) -> None:
    result = run("--help")
    assert (result.exit_code, "onnxprune in.onnx out.onnx --channels 0.3" in result.stdout) == (
        0,
        True,
    )
    for name in cli.commands:
        shown = run(name, "--help")
        assert (shown.exit_code, "xample" in shown.stdout) == (0, True), name


def test_the_version(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout.startswith("onnxprune ")) == (0, True)


def test_a_misspelt_command(run: Run) -> None:
    result = run("inspct", "m.onnx")
    assert (result.exit_code, "Did you mean 'inspect'?" in result.stderr) == (2, True)


def test_a_missing_ratio(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx")
    assert (result.exit_code, "--channels" in result.stderr) == (2, True)


def test_an_internal_error_is_one_to_report(
    run: Run, mlp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("by chance")

    monkeypatch.delenv(DEBUG, raising=False)
    monkeypatch.setattr(sys.modules["onnxprune.cli.inspect"], "study", fail)
    result = run("inspect", mlp, "--json")
    assert result.exit_code == 5
    assert "ZeroDivisionError: by chance" in result.stderr
    assert "please report" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["error"]["exit_code"] == 5
    assert "Traceback" in run("inspect", mlp, "--verbose").stderr
    monkeypatch.setenv(DEBUG, "1")
    assert "Traceback" in run("inspect", mlp).stderr


def test_an_interruption(run: Run, mlp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["onnxprune.cli.inspect"], "study", interrupt)
    result = run("inspect", mlp, "--json")
    assert (result.exit_code, "interrupted" in result.stderr) == (130, True)
    assert json.loads(result.stdout)["error"]["exit_code"] == 130


def test_the_module_runs(mlp: Path) -> None:
    process = onnxprune("inspect", mlp)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "Coupling groups: 1" in out


def test_a_reader_that_goes_away_is_no_news(mlp: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = onnxprune("graph", mlp, stdout=writer)
    os.close(writer)
    _, err = process.communicate()
    assert (process.returncode, err) == (7, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout(mlp: Path) -> None:
    with open("/dev/full", "w") as full:
        process = onnxprune("inspect", mlp, "--json", stdout=full.fileno())
        _, err = process.communicate()
    assert process.returncode == 7
    assert err.startswith("onnxprune: the report could not be written to stdout")
    assert "Traceback" not in err
