"""The main job: `onnxprune IN OUT --channels R`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from onnxprune.runtime import Session
from tests.cli.conftest import Write, width
from tests.conftest import Run

FAST = ("--channels", "0.5", "--no-benchmark")


def test_a_trained_network_becomes_smaller(run: Run, cnn: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = run(cnn, target, "--channels", "0.3", "--no-benchmark")
    assert (result.exit_code, result.stderr) == (0, "")
    assert target.stat().st_size < 0.7 * cnn.stat().st_size
    for part in ("parameters", "MACs", "file size", "operators", "opset", "Equivalence: passed"):
        assert part in result.stdout
    assert "Not prunable, by share of parameters:" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout
    assert Session(target).outputs


def test_latency_is_measured_unless_asked_not_to(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx", "--channels", "0.5")
    assert result.exit_code == 0
    assert "latency, median" in result.stdout
    assert "Speed: " in result.stdout


def test_prune_may_be_named(run: Run, mlp: Path, tmp_path: Path) -> None:
    assert run("prune", mlp, tmp_path / "a.onnx", *FAST).exit_code == 0
    assert run(*FAST, mlp, tmp_path / "b.onnx").exit_code == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_document_has_the_promised_keys(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx", "--channels", "0.5", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document: dict[str, Any] = json.loads(result.stdout)
    assert (document["schema"], document["status"]) == (1, "pruned")
    for side, channels in (("original", 64), ("pruned", 32)):
        model = document[side]
        assert model["parameters"] == 16 * channels + channels + channels * 8
        assert model["macs"] == 16 * channels + channels * 8
        assert model["latency_ms"] > 0
        assert model["nodes"] == 4
        assert model["opset"] == 17
    assert document["original"]["size_bytes"] == mlp.stat().st_size
    assert document["pruned"]["size_bytes"] == (tmp_path / "out.onnx").stat().st_size
    assert document["equivalence"]["passed"] is True
    assert {"max_abs", "max_rel", "tolerance"} <= document["equivalence"].keys()
    assert document["fidelity"].keys() == {"y"}
    assert {"cosine", "sqnr_db", "max_abs"} <= document["fidelity"]["y"].keys()
    assert document["groups"] == {"total": 1, "pruned": 1}
    assert document["prunable"] == {"parameters": 1.0, "macs": 1.0}
    assert document["blocked"] == []
    assert document["seconds"].keys() == {"load", "analyse", "remove", "verify", "save"}
    assert all(seconds > 0 for seconds in document["seconds"].values())
    assert {"ratio", "low", "high", "verdict"} <= document["speedup"].keys()


def test_what_is_blocked_comes_with_reason_node_and_share(
    run: Run, cnn: Path, tmp_path: Path
) -> None:
    result = run(cnn, tmp_path / "out.onnx", *FAST, "--json", "--ignore", "Gemm")
    blocked = json.loads(result.stdout)["blocked"]
    assert blocked
    assert {"reason", "node", "parameters"} == blocked[0].keys()
    assert "ignored as asked" in {entry["reason"] for entry in blocked}
    assert 0 < sum(entry["parameters"] for entry in blocked) < 1


def test_failures_are_documents_too(run: Run, write: Write, tmp_path: Path) -> None:
    flat = write("g (float[N, 16] x, float[16, 8] w1) => (float[N, 8] y) { y = MatMul(x, w1) }")
    nothing = run(flat, tmp_path / "out.onnx", *FAST, "--json")
    document = json.loads(nothing.stdout)
    assert (nothing.exit_code, document["status"]) == (3, "nothing-to-prune")
    assert document["error"]["exit_code"] == 3
    assert document["blocked"][0]["parameters"] == 1.0
    assert document["error"]["message"] in nothing.stderr
    missing = run(tmp_path / "none.onnx", tmp_path / "out.onnx", *FAST, "--json")
    document = json.loads(missing.stdout)
    assert (missing.exit_code, document["status"]) == (3, "failed")
    assert document["error"].keys() >= {"message", "where", "why", "hint", "exit_code"}
    usage = run(flat, tmp_path / "out.onnx", "--channels", "much", "--json")
    document = json.loads(usage.stdout)
    assert (usage.exit_code, document["error"]["exit_code"]) == (2, 2)


def test_a_failed_proof_stands_in_the_document(run: Run, write: Write, tmp_path: Path) -> None:
    source = write(
        """g (float[N, 16] x, float[16, 64] w1, float[64, 8] w2) => (float[N, 8] y) {
            zero = Sub(x, x)
            a = MatMul(zero, w1)
            y = MatMul(a, w2)
        }"""
    )
    result = run(source, tmp_path / "out.onnx", *FAST, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["status"]) == (6, "failed")
    assert document["equivalence"]["passed"] is False
    assert document["equivalence"]["verdict"] == "cannot tell"
    assert document["original"]["parameters"] == 16 * 64 + 64 * 8


def test_a_textual_pipeline(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    spec = "fold-constants,remove-channels{ratio=0.25,criterion=l1},fold-empty"
    result = run(mlp, target, "--passes", spec, "--verify-each", "--no-benchmark")
    assert result.exit_code == 0
    assert width(target) == 48


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fold-constant", "did you mean 'fold-constants'"),
        ("remove-channels{rate=0.3}", "no option 'rate'"),
        ("remove-channels{ratio=much}", "no number"),
    ],
)
def test_a_malformed_pipeline(run: Run, mlp: Path, tmp_path: Path, spec: str, message: str) -> None:
    result = run(mlp, tmp_path / "out.onnx", "--passes", spec)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_pipeline_excludes_the_options_of_its_passes(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx", "--passes", "fold-empty", "--channels", "0.3")
    assert result.exit_code == 2
    assert "--passes and --channels exclude each other" in result.stderr


def test_passes_that_change_nothing_write_nothing(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx", "--passes", "fold-constants")
    assert result.exit_code == 3
    assert "these passes change nothing" in result.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_shapes_of_dynamic_inputs(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    fitting = run(mlp, target, *FAST, "--input-shape", "x:5,16", "--json")
    assert (fitting.exit_code, json.loads(fitting.stdout)["macs_at"]) == (0, {"x": [5, 16]})
    other = run(mlp, target, *FAST, "--input-shape", "x:5,17")
    assert (other.exit_code, "is declared as [N,16]" in other.stderr) == (2, True)
    stranger = run(mlp, target, *FAST, "--input-shape", "z:5,16")
    assert (stranger.exit_code, "no input 'z'" in stranger.stderr) == (2, True)
    malformed = run(mlp, target, *FAST, "--input-shape", "x=5")
    assert (malformed.exit_code, "is not NAME:1,3,224,224" in malformed.stderr) == (2, True)


def test_quiet_says_nothing(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx", *FAST, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_in_place_replaces_the_source(run: Run, mlp: Path, write: Write) -> None:
    assert run(mlp, mlp, *FAST, "--in-place").exit_code == 0
    assert width(mlp) == 32
    other = write(name="other.onnx")
    assert run(other, *FAST, "--in-place").exit_code == 0
    assert width(other) == 32
    missing = run(other, *FAST)
    assert (missing.exit_code, "Missing argument 'OUT'" in missing.stderr) == (2, True)


def test_external_data_counts_as_part_of_the_file(run: Run, write: Write, tmp_path: Path) -> None:
    source = write(external="in.data")
    target = tmp_path / "out.onnx"
    document = json.loads(run(source, target, *FAST, "--json").stdout)
    sizes = [document[side]["size_bytes"] for side in ("original", "pruned")]
    assert sizes[0] > source.stat().st_size
    assert sizes[0] > sizes[1] > target.stat().st_size
    assert Session(target).outputs


def test_a_plan_gives_the_same_file_again(run: Run, cnn: Path, tmp_path: Path) -> None:
    first, second, plan = (tmp_path / name for name in ("a.onnx", "b.onnx", "plan.json"))
    assert run(cnn, first, *FAST, "--plan", plan).exit_code == 0
    document = json.loads(plan.read_text())
    assert document["schema"] == 1
    assert document["initializers"]["head.weight"].keys() == {"1"}
    again = run("apply", plan, cnn, second, "--no-benchmark")
    assert again.exit_code == 0, again.stderr
    assert "Equivalence: passed" in again.stdout
    assert first.read_bytes() == second.read_bytes()


def test_a_plan_for_another_network_is_refused(
    run: Run, mlp: Path, cnn: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    assert run(mlp, tmp_path / "a.onnx", *FAST, "--plan", plan).exit_code == 0
    result = run("apply", plan, cnn, tmp_path / "b.onnx", "--no-benchmark")
    assert result.exit_code == 3
    assert "no initializer" in result.stderr
    assert not (tmp_path / "b.onnx").exists()
    plan.write_text("[]")
    result = run("apply", plan, mlp, tmp_path / "b.onnx", "--no-benchmark")
    assert (result.exit_code, "no plan" in result.stderr) == (3, True)


def thinned(source: Path, target: Path) -> Path:
    """A model of which nine tenths of the larger weights are zero, the same ones each time."""
    model = onnx.ModelProto.FromString(source.read_bytes())
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).copy()
        if array.ndim > 1:
            array[np.random.default_rng(0).random(array.shape) < 0.9] = 0
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    target.write_bytes(model.SerializeToString())
    return target


def test_zeros_need_no_room(run: Run, mlp: Path, tmp_path: Path) -> None:
    source = thinned(mlp, tmp_path / "thin.onnx")
    dense, target, plan = (tmp_path / name for name in ("dense.onnx", "out.onnx", "plan.json"))
    assert run(source, dense, *FAST).exit_code == 0
    result = run(source, target, *FAST, "--sparse-storage", "--plan", plan)
    assert result.exit_code == 0, result.stderr
    assert "Note: store-sparsely stored 2 weights sparsely" in result.stdout
    assert target.stat().st_size < dense.stat().st_size / 2
    assert Session(target).outputs
    assert run("verify", source, target, "--plan", plan).exit_code == 0
    assert run("inspect", target).exit_code == 0
    sizes = json.loads(run("inspect", target, "--sparsity", "--json").stdout)["size"]
    assert sizes["sparse_bytes"] == sizes["raw_bytes"] == target.stat().st_size
    again = tmp_path / "again.onnx"
    options = ("--sparse-storage", "--no-benchmark")
    assert run("apply", plan, source, again, *options).exit_code == 0
    assert again.read_bytes() == target.read_bytes()
    assert run(target, again, *FAST).exit_code == 0


def test_sparse_storage_alone(run: Run, mlp: Path, tmp_path: Path) -> None:
    source, target = thinned(mlp, tmp_path / "thin.onnx"), tmp_path / "out.onnx"
    alone = ("--passes", "store-sparsely", "--no-benchmark")
    assert run(source, target, *alone).exit_code == 0
    assert target.stat().st_size < source.stat().st_size / 2
    nothing = run(mlp, tmp_path / "none.onnx", *alone)
    assert (nothing.exit_code, "left all weights dense" in nothing.stderr) == (3, True)
    both = run(source, target, *alone, "--sparse-storage")
    assert (both.exit_code, "--sparse-storage exclude" in both.stderr) == (2, True)
    lossless = run(source, target, "--lossless", "--sparse-storage", "--no-benchmark")
    assert lossless.exit_code == 0, lossless.stderr
    assert "Note: store-sparsely stored" in lossless.stdout
