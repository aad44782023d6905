"""`onnxprune benchmark`; how fast anything is, is not looked at."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from onnxprune.runtime.observation import peak_memory
from tests.cli.conftest import Write
from tests.conftest import Run

QUICK = ("--budget", "0.05")
FIXED = """g (float[2, 16] x, float[16, 64] w1, float[64, 8] w2) => (float[2, 8] y) {
    a = MatMul(x, w1)
    b = Relu(a)
    y = MatMul(b, w2)
}"""


@pytest.fixture
def pruned(run: Run, mlp: Path, tmp_path: Path) -> Path:
    target = tmp_path / "out.onnx"
    assert run(mlp, target, "--channels", "0.5", "--no-benchmark").exit_code == 0
    return target


def document_of(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    verdicts = {entry["speedup"]["verdict"] for entry in document["batches"]}
    assert verdicts <= {"faster", "slower", "cannot tell"}
    assert result.exit_code == (6 if "cannot tell" in verdicts else 0), result.stderr
    return document


def test_batches_are_measured_one_by_one_and_the_first_stands_for_all(
    run: Run, mlp: Path, pruned: Path
) -> None:
    document = document_of(run("benchmark", mlp, pruned, *QUICK, "--batch", "4,1", "--json"))
    assert [entry["batch"] for entry in document["batches"]] == [4, 1]
    first = document["batches"][0]
    assert {key: document[key] for key in ("original", "pruned", "speedup")} == {
        key: first[key] for key in ("original", "pruned", "speedup")
    }
    for side in ("original", "pruned"):
        assert first[side]["throughput"] == pytest.approx(4e3 / first[side]["latency_ms"])


def test_what_layers_take_where_it_is_asked_for(run: Run, cnn: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    assert run(cnn, target, "--channels", "0.5", "--no-benchmark").exit_code == 0
    document = document_of(run("benchmark", cnn, target, *QUICK, "--profile", "--json"))
    assert [layer["op_type"] for layer in document["layers"]] == ["Conv"] * 17 + ["Gemm"]
    for layer in document["layers"]:
        before, after = layer["before"], layer["after"]
        assert after["macs"] < before["macs"]
        assert before["latency_us"] is not None
        assert after["latency_us"] is not None
    assert "layers" not in document_of(run("benchmark", cnn, target, *QUICK, "--json"))


def test_memory_loading_and_operators_are_in_the_document(
    run: Run, mlp: Path, pruned: Path
) -> None:
    document = document_of(run("benchmark", mlp, pruned, *QUICK, "--json"))
    assert set(document["load"]) == {"original_ms", "pruned_ms"}
    assert all(value > 0 for value in document["load"].values())
    unknown = peak_memory() is None
    assert all((value is None) == unknown for value in document["memory"].values())
    operators = {entry["operator"] for entry in document["profile"]["operators"]}
    assert "MatMul" in operators
    assert document["providers"]["asked"] == "CPUExecutionProvider"
    assert document["providers"]["original"][0]["time_share"] == 1.0


def test_the_text_shows_models_times_and_operators(run: Run, mlp: Path, pruned: Path) -> None:
    shown = run("benchmark", mlp, pruned, *QUICK, "--batch", "1,8", "--profile").stdout
    for part in ("A: in.onnx", "median", "samples/s", "to create a session", "MatMul", "batch 8:"):
        assert part in shown


def test_optimization_is_passed_on(run: Run, mlp: Path, pruned: Path) -> None:
    document = document_of(
        run("benchmark", mlp, pruned, *QUICK, "--optimization", "none", "--json")
    )
    assert document["optimization"] == "none"
    # Optimised, bias and activation would be one operator.
    operators = {entry["operator"] for entry in document["profile"]["operators"]}
    assert operators == {"MatMul", "Add", "Relu"}


def test_a_model_with_a_batch_of_its_own(run: Run, write: Write) -> None:
    source = write(FIXED)
    document = document_of(run("benchmark", source, source, *QUICK, "--json"))
    assert [entry["batch"] for entry in document["batches"]] == [None]
    refused = run("benchmark", source, source, "--batch", "1,8")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "the batch of this model is fixed" in refused.stderr


@pytest.mark.parametrize("sizes", ["0", "1,", "x", "1,-2", ""])
def test_batches_that_make_no_sense(run: Run, mlp: Path, sizes: str) -> None:
    result = run("benchmark", mlp, mlp, "--batch", sizes)
    assert (result.exit_code, "is not 1,8,32" in result.stderr) == (2, True)


def test_the_cpu_runs_all_that_it_is_strictly_asked_for(run: Run, mlp: Path, pruned: Path) -> None:
    document = document_of(run("benchmark", mlp, pruned, *QUICK, "--strict-provider", "--json"))
    for side in ("original", "pruned"):
        (entry,) = document["providers"][side]
        assert (entry["provider"], entry["node_share"]) == ("CPUExecutionProvider", 1.0)
