"""`--quantize`: prune, quantize, prove the float model, measure both."""

import json
from pathlib import Path

import numpy as np
import pytest

import onnxprune as op
from onnxprune.ops.registry import is_quantized
from tests.conftest import FIXTURES, Run

FIT = ("--calibration", FIXTURES / "digits_calibration.npz", "--samples", "64")
TEST = ("--data", FIXTURES / "digits_test.npz", "--labels", "label")
FAST = ("--channels", "0.5", "--no-benchmark")


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.npz"
    np.savez(path, x=np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32))
    return path


def test_prune_quantize_verify(run: Run, cnn: Path, tmp_path: Path) -> None:
    target, plan = tmp_path / "out.onnx", tmp_path / "plan.json"
    result = run(cnn, target, *FAST[:1], "0.3", "--plan", plan, "--quantize", "qdq", *FIT, *TEST)
    assert (result.exit_code, result.stderr) == (0, "")
    for part in ("Equivalence: passed", "fidelity to the float model", "Quantized: ", "Speed: "):
        assert part in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert target.stat().st_size < 0.25 * cnn.stat().st_size
    verified = run("verify", cnn, target, "--plan", plan, *TEST)
    assert verified.exit_code == 6
    assert "quantized" in verified.stderr
    assert "top1" in verified.stdout
    judged = run("verify", cnn, target, *TEST)
    assert judged.exit_code == 0
    again = run("apply", plan, cnn, tmp_path / "float.onnx", "--no-benchmark", *FIT)
    assert again.exit_code == 0
    assert run("verify", cnn, tmp_path / "float.onnx", "--plan", plan).exit_code == 0


def test_both_fidelities_stand_in_the_document(
    run: Run, mlp: Path, samples: Path, tmp_path: Path
) -> None:
    result = run(
        mlp, tmp_path / "out.onnx", *FAST, "--quantize", "qdq", "--data", samples, "--json"
    )
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    apart, whole = document["quantization"]["fidelity"]["y"], document["fidelity"]["y"]
    assert apart["sqnr_db"] > whole["sqnr_db"]
    assert document["equivalence"]["passed"] is True
    size = document["quantization"]["float"]["size_bytes"]
    assert document["pruned"]["size_bytes"] == (tmp_path / "out.onnx").stat().st_size < size
    assert document["pruned"]["parameters"] == 16 * 32 + 32 + 32 * 8
    assert document["passes"][-1]["name"] == "quantize"


@pytest.mark.parametrize("mode", ["qdq", "dynamic"])
def test_quantization_alone(run: Run, mlp: Path, samples: Path, tmp_path: Path, mode: str) -> None:
    target = tmp_path / "out.onnx"
    data = ("--data", samples) if mode == "qdq" else ()
    result = run(mlp, target, "--quantize", mode, *data, "--no-benchmark", "--json")
    assert result.exit_code == 0
    assert is_quantized(op.load(target))
    document = json.loads(result.stdout)
    assert document["original"]["parameters"] == document["pruned"]["parameters"]
    assert "notes" not in document


def test_what_loses_no_channel_is_quantized(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = run(mlp, target, "--lossless", "--quantize", "dynamic", "--no-benchmark")
    assert result.exit_code == 0
    assert "no channel was removed" in result.stdout
    assert is_quantized(op.load(target))


def test_options_reach_the_pass(run: Run, mlp: Path, samples: Path, tmp_path: Path) -> None:
    options = ("--per-tensor", "--symmetric", "--no-quantize", "y", "--no-quantize", "nothing*")
    result = run(
        mlp, tmp_path / "out.onnx", *FAST, "--quantize", "qdq", "--data", samples, *options
    )
    assert result.exit_code == 2
    assert "no node matches 'nothing*'" in result.stderr
    result = run(
        mlp,
        tmp_path / "out.onnx",
        *FAST,
        *("--quantize", "qdq", "--data", samples, *options[:-2], "--json"),
    )
    assert result.exit_code == 0
    name = json.loads(result.stdout)["passes"][-1]["name"]
    assert name == "quantize{per_channel=False,symmetric=True,ignore=y}"
    assert "w2" in op.load(tmp_path / "out.onnx").constants


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((*FAST, "--per-tensor"), 2, "--per-tensor is of use only with --quantize"),
        ((*FAST, "--symmetric"), 2, "--symmetric is of use only with --quantize"),
        ((*FAST, "--no-quantize", "Conv"), 2, "--no-quantize is of use only with --quantize"),
        ((*FAST, "--quantize", "int4"), 2, "no mode of quantization 'int4'"),
        ((*FAST, "--quantize", "qdq"), 2, "static quantization needs data"),
        ((*FAST, "--quantize", "dynamic", "--symmetric"), 2, "symmetric activations"),
        (("--quantize", "dynamic", "--criterion", "l1"), 2, "Missing option '--channels'"),
        (("--quantize", "dynamic", "--passes", "fold-constants"), 2, "exclude each other"),
        (("--passes", "quantize{mode=dynamic},fold-empty"), 2, "quantize comes last"),
        (("--quantize", "dynamic", "--no-quantize", "*"), 3, "nothing was quantized"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    run: Run, mlp: Path, tmp_path: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    target = tmp_path / "out.onnx"
    result = run(mlp, target, *options)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not target.exists()


def test_a_quantized_model_is_not_quantized_again(run: Run, mlp: Path, tmp_path: Path) -> None:
    once = tmp_path / "once.onnx"
    assert run(mlp, once, "--quantize", "dynamic", "--no-benchmark").exit_code == 0
    twice = run(once, tmp_path / "twice.onnx", "--quantize", "dynamic")
    assert (twice.exit_code, "quantized already" in twice.stderr) == (3, True)
    pruned = tmp_path / "pruned.onnx"
    assert run(once, pruned, *FAST).exit_code == 0
    assert op.load(pruned).parameters < 0.6 * op.load(once).parameters
