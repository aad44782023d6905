"""Commands that measure, on every provider; how fast anything is, is not looked at."""

import json
from pathlib import Path
from typing import Any

import pytest

from onnxprune.runtime import parse_provider
from onnxprune.verify.health import WELL_KNOWN
from tests.conftest import FIXTURES, Run
from tests.providers.conftest import checked, require_working

pytestmark = pytest.mark.providers

CNN = FIXTURES / "digits_cnn.ts.onnx"
QUICK = ("--budget", "0.05", "--json")


def assert_shares(providers: dict[str, Any]) -> None:
    for side in ("original", "pruned"):
        entries = providers[side]
        assert sum(entry["time_share"] for entry in entries) == pytest.approx(1)
        assert sum(entry["node_share"] for entry in entries) == pytest.approx(1) or not any(
            entry["nodes"] for entry in entries
        )


@pytest.mark.parametrize("spec", WELL_KNOWN)
def test_providers_that_are_well_known_work(spec: str) -> None:
    require_working(spec)
    assert checked(spec).works


def test_doctor_finds_it_working(run: Run, provider: str) -> None:
    result = run("doctor", "--provider", provider, "--json")
    assert result.exit_code == 0, result.stderr
    checks = {entry["provider"]: entry for entry in json.loads(result.stdout)["providers"]}
    assert checks[parse_provider(provider).name]["works"]


def test_a_model_is_pruned_for_it(run: Run, provider: str, tmp_path: Path) -> None:
    options = ("--channels", "0.3", "--provider", provider, "--json")
    result = run(CNN, tmp_path / "out.onnx", *options)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["equivalence"]["passed"]
    assert document["speedup"]["provider"] == provider
    name = parse_provider(provider).name
    assert ("providers" in document) == (name != "CPUExecutionProvider")
    if "providers" in document:
        assert document["providers"]["asked"] == name
        assert_shares(document["providers"])


def test_a_benchmark_runs_on_it(run: Run, provider: str) -> None:
    result = run("benchmark", CNN, CNN, *QUICK, "--provider", provider, "--batch", "1,4")
    assert result.exit_code in (0, 6), result.stderr
    document = json.loads(result.stdout)
    assert [entry["batch"] for entry in document["batches"]] == [1, 4]
    assert document["providers"]["asked"] == parse_provider(provider).name
    assert_shares(document["providers"])


def test_what_falls_back_is_shown(run: Run, accelerator: str, mixed: Path) -> None:
    result = run("benchmark", mixed, mixed, "--budget", "0.05", "--provider", accelerator)
    assert result.exit_code in (0, 6), result.stderr
    words = " ".join(result.stdout.split())
    assert "Fell back to CPUExecutionProvider in A: Unique (1)" in words


def test_strictness_refuses(run: Run, accelerator: str, mixed: Path, tmp_path: Path) -> None:
    strict = ("--provider", accelerator, "--strict-provider")
    measured = run("benchmark", mixed, mixed, *QUICK, *strict)
    assert (measured.exit_code, "Unique (1)" in measured.stderr) == (4, True)
    target = tmp_path / "out.onnx"
    pruned = run(mixed, target, "--channels", "0.5", *strict)
    assert (pruned.exit_code, pruned.stdout, target.exists()) == (4, "", False)
    assert "fell back" in pruned.stderr
