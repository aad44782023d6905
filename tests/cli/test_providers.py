"""Every command that takes a provider refuses one that is not there, and says what to install."""

import json
import sys
from pathlib import Path

import click
import pytest

from onnxprune.cli import cli
from onnxprune.runtime import available_providers, parse_provider
from tests.conftest import FIXTURES, Run

MODEL = FIXTURES / "digits_cnn.ts.onnx"
NEEDED = {"prune": ("--channels", "0.5")}
"""What commands want besides their arguments."""
EXTRAS = {
    "CUDAExecutionProvider": "gpu",
    "OpenVINOExecutionProvider": "openvino",
    "TensorrtExecutionProvider": "tensorrt",
}


def takes(command: click.Command, option: str) -> bool:
    return any(option in param.opts for param in command.params)


COMMANDS = sorted(name for name, command in cli.commands.items() if takes(command, "--provider"))


@pytest.fixture
def plan(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    options = ("--channels", "0.5", "--plan", path, "--no-benchmark")
    assert run(MODEL, tmp_path / "pruned.onnx", *options).exit_code == 0
    return path


def arguments_of(name: str, plan: Path, target: Path) -> list[object]:
    """A file for each argument: a plan, a file to write, or a model."""
    files = {"plan_path": plan, "target": target}
    params = cli.commands[name].params
    names = [str(param.name) for param in params if isinstance(param, click.Argument)]
    return [*(files.get(argument, MODEL) for argument in names), *NEEDED.get(name, ())]


def test_the_commands_that_measure_take_providers() -> None:
    assert {"apply", "benchmark", "doctor", "prune"} <= set(COMMANDS)
    strict = {name for name in COMMANDS if takes(cli.commands[name], "--strict-provider")}
    assert {"apply", "benchmark", "prune"} <= strict


@pytest.mark.parametrize("provider", ["cuda", "tensorrt:trt_fp16_enable=1", "openvino"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_provider_that_is_not_there(
    name: str, provider: str, run: Run, plan: Path, tmp_path: Path
) -> None:
    full_name = parse_provider(provider).name
    if full_name in available_providers():
        pytest.skip(f"this ONNX Runtime has {full_name}")
    target = tmp_path / "out.onnx"
    given = arguments_of(name, plan, target)
    result = run(name, *given, "--provider", provider, "--json")
    assert result.exit_code == 4, result.stderr
    error = json.loads(result.stdout)["error"]
    assert full_name in error["message"]
    assert f"pip install 'onnxprune[{EXTRAS[full_name]}]'" in error["hint"]
    assert "Traceback" not in result.stderr
    assert not target.exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_without_any_onnxruntime(
    name: str, run: Run, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    target = tmp_path / "out.onnx"
    result = run(name, *arguments_of(name, plan, target))
    assert result.exit_code == 4, result.stderr
    assert "pip install 'onnxprune[cpu]'" in result.stderr
    assert not target.exists()
