"""`--sparsity`, `--pattern` and what goes with them, from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

import onnxprune as op
from tests.conftest import FIXTURES, Run

FIT = ("--calibration", FIXTURES / "digits_calibration.npz", "--samples", "64")
TEST = ("--data", FIXTURES / "digits_test.npz", "--labels", "label")
FAST = "--no-benchmark"


def _zeros(path: Path) -> float:
    arrays = [x.numpy() for x in op.load(path).constants.values() if len(x.shape) > 1]
    return sum(int((a == 0).sum()) for a in arrays) / sum(a.size for a in arrays)


def test_zeros_are_reported_verified_and_planned(run: Run, cnn: Path, tmp_path: Path) -> None:
    target, plan = tmp_path / "out.onnx", tmp_path / "plan.json"
    result = run(cnn, target, "--sparsity", "0.7", *FIT, *TEST, FAST, "--plan", plan)
    assert (result.exit_code, result.stderr) == (0, "")
    for part in ("Zeros: 70.0 % of 197 k weights", "by sparsegpt", "Equivalence: passed", "top1"):
        assert part in result.stdout
    assert "those offered" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert _zeros(target) == pytest.approx(0.7, abs=1e-3)
    assert run("verify", cnn, target, "--plan", plan).exit_code == 0


def test_a_plan_of_zeros_alone_has_nothing_to_apply(run: Run, mlp: Path, tmp_path: Path) -> None:
    target, plan = tmp_path / "out.onnx", tmp_path / "plan.json"
    assert run(mlp, target, "--pattern", "2:4", FAST, "--plan", plan).exit_code == 0
    assert run("verify", mlp, target, "--plan", plan).exit_code == 0
    again = run("apply", plan, mlp, tmp_path / "again.onnx")
    assert again.exit_code == 3
    assert "run its pipeline: --passes" in " ".join(again.stderr.split())


def test_the_document_holds_what_became_zero(run: Run, cnn: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = run(cnn, target, "--sparsity", "0.5", "--scope", "global", FAST, "--json")
    found = json.loads(result.stdout)["sparsity"]
    assert found["zeros"] == round(found["weights"] / 2)
    assert (found["method"], found["samples"], found["deviation"]) == ("magnitude", 0, None)
    assert found["compressed_bytes"] < 0.7 * target.stat().st_size


def test_channels_and_weights_go_together_in_steps(run: Run, cnn: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    amounts = ("--channels", "0.3", "--pattern", "2:4")
    result = run(cnn, target, *amounts, "--steps", "2", "--schedule", "cubic", *FIT, FAST)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Pruned 12 of 12" in result.stdout
    assert "by sparsegpt" in result.stdout
    statistics = run("inspect", target, "--sparsity", "--json")
    assert json.loads(statistics.stdout)["totals"]["macs_that_conform"]["2:4"] > 0.9


def test_what_lies_below_a_bound_becomes_zero(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    assert run(mlp, target, "--zero-below", "0.05", FAST).exit_code == 0
    for name, tensor in op.load(target).constants.items():
        array = np.abs(tensor.numpy())
        assert len(tensor.shape) < 2 or not ((array > 0) & (array < 0.05)).any(), name


def test_zeros_without_room_in_the_file(run: Run, cnn: Path, tmp_path: Path) -> None:
    dense, sparse = tmp_path / "dense.onnx", tmp_path / "sparse.onnx"
    assert run(cnn, dense, "--sparsity", "0.9", FAST).exit_code == 0
    assert run(cnn, sparse, "--sparsity", "0.9", "--sparse-storage", FAST).exit_code == 0
    assert sparse.stat().st_size < 0.5 * dense.stat().st_size
    found = json.loads(run("verify", dense, sparse, "--json").stdout)["fidelity"]["logits"]
    assert found["max_abs"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pattern", "2:0"), "write N:M with 0 < N < M, such as 2:4"),
        (("--pattern", "5:4"), "write N:M with 0 < N < M, such as 2:4"),
        (("--pattern", "half"), "write N:M with 0 < N < M, such as 2:4"),
        (("--sparsity", "1.2"), "0.7 makes 70 % of the weights zero"),
        (("--sparsity", "1"), "less than 1"),
        (("--zero-below", "-1"), "above 0"),
        (("--sparsity", "0.5", "--pattern", "2:4"), "--sparsity and --pattern exclude each other"),
        (("--sparsity", "0.5", "--criterion", "l1"), "--criterion is of use only with --channels"),
        (("--sparsity", "0.5", "--scope", "isomorphic"), "--scope is of use only with --channels"),
        (("--pattern", "2:4", "--scope", "global"), "--scope is of use only with --channels"),
        (("--sparsity-method", "wanda"), "--sparsity-method is of use only with"),
        (("--sparsity", "0.5", "--sparsity-method", "wanda"), "give --data or --calibration"),
        (("--sparsity", "0.5", "--sparsity-method", "wnda"), "did you mean 'wanda'?"),
        (("--zero-below", "1", "--sparsity-method", "sparsegpt"), "knows no magnitude"),
        (("--sparsity", "0.5", "--schedule", "cubc"), "did you mean 'cubic'?"),
        (("--sparsity", "0.5", "--lossless"), "--lossless and --sparsity exclude each other"),
        (("--sparsity", "0.5", "--passes", "fold-empty"), "--passes and --sparsity exclude"),
    ],
)
def test_what_makes_no_sense(
    run: Run, mlp: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    target = tmp_path / "out.onnx"
    result = run(mlp, target, *options)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not target.exists()


def test_a_model_without_a_weight_to_make_zero_says_why(
    run: Run, cnn: Path, tmp_path: Path
) -> None:
    result = run(cnn, tmp_path / "out.onnx", "--sparsity", "0.5", "--ignore", "*")
    assert result.exit_code == 3
    assert "ignored as asked" in result.stderr
