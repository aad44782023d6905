"""`onnxprune doctor`."""

import json
import sys

import pytest

from onnxprune.runtime import available_providers
from tests.cli.conftest import assert_refused
from tests.conftest import Run


def test_the_report_names_providers_and_packages(run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert "CPUExecutionProvider" in result.stdout
    assert "numpy" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_document_says_that_the_cpu_works(run: Run) -> None:
    document = json.loads(run("doctor", "--json", "--provider", "cpu").stdout)
    assert document["status"] == "diagnosed"
    assert {"onnxprune", "python", "onnx", "onnxruntime", "numpy"} <= set(document["versions"])
    cpu = document["providers"][0]
    assert (cpu["provider"], cpu["works"], cpu["error"]) == ("CPUExecutionProvider", True, None)


def test_a_provider_that_is_required(run: Run) -> None:
    if "OpenVINOExecutionProvider" in available_providers():
        pytest.skip("this ONNX Runtime has OpenVINO")
    result = run("doctor", "--provider", "openvino", "--json")
    assert result.exit_code == 4
    document = json.loads(result.stdout)
    assert "pip install 'onnxprune[openvino]'" in document["error"]["hint"]
    assert document["providers"][0]["works"]


def test_without_an_onnxruntime(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run("doctor")
    assert result.exit_code == 4
    assert "not installed" in result.stdout
    assert "pip install 'onnxprune[cpu]'" in result.stderr


def test_a_provider_that_cannot_be_read(run: Run) -> None:
    refused = run("doctor", "--provider", "cuda:fast")
    assert_refused(refused, 2, "provider option 'fast' is not KEY=VALUE", "device_id=0")
