"""`onnxprune gate`: exit codes, documents, and files of the same record."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from onnxprune.gate.checks import Check
from onnxprune.gate.judge import Judgement
from onnxprune.ir.load import load
from onnxprune.reports.junit import junit_xml
from tests.conftest import Run


def append(release: Path, text: str) -> Path:
    policy = release / "policy.toml"
    policy.write_text(policy.read_text() + text)
    return policy


def check_schema(document: Any) -> None:
    schema = json.loads(files("onnxprune.gate").joinpath("gate.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)


def test_a_candidate_that_passes(run: Run, release: Path) -> None:
    policy = append(release, "[cost]\nmacs = 0.9\n")
    result = run("gate", "--policy", policy, "--json", "--junit", release / "gate.xml")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    check_schema(document)
    assert (document["status"], document["verdict"]) == ("judged", "pass")
    hashes = {name: entry["sha256"] for name, entry in document["provenance"]["inputs"].items()}
    assert {"original", "candidate", "plan", "policy"} <= hashes.keys()
    assert all(len(digest) == 64 for digest in hashes.values())
    suite = ElementTree.parse(release / "gate.xml").getroot()
    names = [case.get("name") for case in suite.iter("testcase")]
    assert names == [check["name"] for check in document["checks"]] == ["macs", "equivalence"]


def test_a_candidate_that_fails(run: Run, release: Path) -> None:
    policy = append(release, "[cost]\nmacs = 0.01\n")
    result = run("gate", "--policy", policy, "--json", "--junit", release / "gate.xml")
    assert (result.exit_code, "the gate says no" in result.stderr) == (1, True)
    document = json.loads(result.stdout)
    check_schema(document)
    assert (document["status"], document["verdict"]) == ("failed", "fail")
    (failure,) = ElementTree.parse(release / "gate.xml").getroot().iter("failure")
    assert "at most" in str(failure.get("message"))
    text = run("gate", "--policy", policy).stdout
    assert "macs: " in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_cannot_be_told(run: Run, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def undecided(policy: Any, *models: Any, **options: Any) -> Judgement:
        model = release / "in.onnx"
        doubt = Check("speed", "cannot tell", 1.2, (1.1, 1.3), 1.2, "higher", "x", "20 pairs")
        return Judgement(policy, load(model), load(model), (Check("fine", "pass"), doubt))

    monkeypatch.setattr(sys.modules["onnxprune.cli.gate"], "judge", undecided)
    result = run("gate", "--policy", release / "policy.toml", "--junit", release / "gate.xml")
    assert (result.exit_code, "speed" in result.stderr) == (6, True)
    (error,) = ElementTree.parse(release / "gate.xml").getroot().iter("error")
    assert error.get("message") == "1.200x (1.100x to 1.300x), at least 1.200x; 20 pairs"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("[[speed]]\nprovider = 'cuda'\nmin_speedup = 1\n", 4, "CUDAExecutionProvider"),
        (
            "[[speed]]\nprovider = 'tensorrt:trt_fp16_enable=1'\nmin_speedup = 1\n",
            4,
            "TensorrtExecutionProvider",
        ),
        ("[[spee]]\n", 2, "there is no setting 'spee'"),
        (
            "[data.x]\nsource = 'none.npz'\n[[fidelity]]\ndata = 'x'\nmin_cosine = 1\n",
            2,
            "there is no such data",
        ),
        ("[baseline]\nfile = 'none.json'\n", 2, "there is no baseline yet"),
    ],
)
def test_what_cannot_be_judged(run: Run, release: Path, text: str, code: int, message: str) -> None:
    result = run("gate", "--policy", append(release, text), "--json")
    assert result.exit_code == code
    document = json.loads(result.stdout)
    check_schema(document)
    assert document["error"]["exit_code"] == code
    assert message in document["error"]["message"]


def test_models_on_the_command_line(run: Run, release: Path) -> None:
    policy = release / "policy.toml"
    policy.write_text('[equivalence]\nplan = "plan.json"\n')
    unnamed = run("gate", "--policy", policy)
    assert (unnamed.exit_code, "there is no original model" in unnamed.stderr) == (2, True)
    models = release / "in.onnx", release / "out.onnx"
    assert run("gate", "--policy", policy, *models, "-q").exit_code == 0
    missing = run("gate", "--policy", policy, release / "in.onnx", release / "none.onnx")
    assert (missing.exit_code, "no such model file" in missing.stderr) == (3, True)


def test_the_report_replaces_nothing(run: Run, release: Path) -> None:
    policy = release / "policy.toml"
    before = policy.read_bytes()
    itself = run("gate", "--policy", policy, "--junit", policy)
    assert (itself.exit_code, "would replace an input" in itself.stderr) == (2, True)
    nowhere = run("gate", "--policy", policy, "--junit", release / "none" / "gate.xml")
    assert (nowhere.exit_code, "the folder to write to does not exist" in nowhere.stderr) == (
        7,
        True,
    )
    assert policy.read_bytes() == before


def test_a_baseline_is_written_and_compared_with(run: Run, release: Path) -> None:
    policy = append(release, "[cost]\nmacs = 0.9\n[baseline]\nfile = 'baseline.json'\n")
    assert run("gate", "--policy", policy, "--update-baseline").exit_code == 0
    result = run("gate", "--policy", policy)
    assert (result.exit_code, "no worse than the baseline: macs" in result.stdout) == (0, True)


def test_names_are_text_in_xml() -> None:
    check = {"name": '<a> & "b"', "verdict": "fail", "measured": None, "why": "x < y"}
    check |= {"interval": None, "limit": None, "better": "", "unit": ""}
    document = junit_xml({"checks": [check], "provenance": {"inputs": {}}})
    (case,) = ElementTree.fromstring(document).iter("testcase")
    assert case.get("name") == '<a> & "b"'
