"""The main job: `onnxprune IN OUT --channels R`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from click.testing import Result

from onnxprune.runtime import Session

Run = Callable[..., Result]
Write = Callable[..., Path]

FAST = ("--channels", "0.5", "--no-benchmark")


def width(path: Path) -> int:
    """How many hidden channels the small network has."""
    (weight,) = (
        t for t in onnx.ModelProto.FromString(path.read_bytes()).graph.initializer if t.name == "w1"
    )
    return int(weight.dims[1])


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


@pytest.mark.parametrize(("given", "expected"), [("1", 45), ("8", 48), ("32", 32), ("auto", 48)])
def test_widths_are_rounded(run: Run, mlp: Path, tmp_path: Path, given: str, expected: int) -> None:
    target = tmp_path / "out.onnx"
    assert run(mlp, target, "--channels", "0.3", "--round-to", given, "-q").exit_code == 0
    assert width(target) == expected


def test_kinds_choose_groups(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    assert run(mlp, target, *FAST, "--kinds", "head,channel").exit_code == 3
    assert run(mlp, target, *FAST, "--kinds", "intermediate", "--kinds", "head").exit_code == 0
    assert run(mlp, target, *FAST, "--kinds", "+head_dim").exit_code == 0
    assert run(mlp, target, *FAST, "--kinds", "all").exit_code == 0
    mixed = run(mlp, target, *FAST, "--kinds", "channel,+head")
    assert (mixed.exit_code, "all listed or all added" in mixed.stderr) == (2, True)
    unknown = run(mlp, target, *FAST, "--kinds", "hat")
    assert (unknown.exit_code, "no kind 'hat'" in unknown.stderr) == (2, True)


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


def test_budgets(run: Run, cnn: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    options = ("--target-macs", "0.6", "--target-size", "500kB", "--no-benchmark", "--json")
    result = run(cnn, target, *options)
    assert result.exit_code == 0
    document: dict[str, Any] = json.loads(result.stdout)
    share = document["pruned"]["macs"] / document["original"]["macs"]
    assert share <= 0.6
    assert target.stat().st_size <= 500_000
    assert share > 0.588 or target.stat().st_size > 490_000


def test_blocks(run: Run, cnn: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = run(cnn, target, "--blocks", "2", "--no-benchmark", "--json")
    assert result.exit_code == 0
    document: dict[str, Any] = json.loads(result.stdout)
    inspected = json.loads(run("inspect", cnn, "--json").stdout)["blocks"]
    assert len(document["blocks"]) == 2
    assert set(document["blocks"]) < {block["name"] for block in inspected}
    assert document["pruned"]["macs"] < document["original"]["macs"]
    assert document["equivalence"]["verdict"] == "passed"
    again = json.loads(run("inspect", target, "--json").stdout)
    assert again["model"]["macs"] == document["pruned"]["macs"]
    assert len(again["blocks"]) == len(inspected) - 2


def test_blocks_and_channels(run: Run, cnn: Path, tmp_path: Path) -> None:
    options = ("--blocks", "1", "--channels", "0.3", "--no-benchmark")
    result = run(cnn, tmp_path / "out.onnx", *options)
    assert result.exit_code == 0
    assert "Removed 1 residual block" in result.stdout
    assert "Pruned 1" in result.stdout
    too_many = run(cnn, tmp_path / "none.onnx", "--blocks", "9")
    assert too_many.exit_code == 1
    assert "9 blocks were to go" in too_many.stderr
    assert not (tmp_path / "none.onnx").exists()


def test_a_budget_that_cannot_be_met(run: Run, cnn: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = run(cnn, target, "--target-macs", "0.001")
    assert result.exit_code == 1
    assert "the budget cannot be met" in result.stderr
    assert "of the original is left" in result.stderr
    assert not target.exists()


def test_a_budget_and_a_ratio_exclude_each_other(run: Run, cnn: Path, tmp_path: Path) -> None:
    result = run(cnn, tmp_path / "out.onnx", "--target-macs", "0.5", "--channels", "0.3")
    assert result.exit_code == 2
    assert "--channels and --target-macs exclude each other" in result.stderr


def test_ratios_of_some_groups(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = run(mlp, target, "--ratio", "*w1=0.25", "--no-benchmark")
    assert (result.exit_code, result.stderr) == (0, "")
    assert width(target) == 48
    result = run(mlp, tmp_path / "b.onnx", "--ratio", "nothing*=0.25")
    assert result.exit_code == 2
    assert "no group matches 'nothing*'" in result.stderr
    result = run(mlp, tmp_path / "b.onnx", "--ratio", "w1=2.0")
    assert result.exit_code == 2
    assert "the ratio 'w1=2.0' is not at least 0" in result.stderr
    result = run(mlp, tmp_path / "b.onnx", "--ratio", "w1")
    assert result.exit_code == 2
    assert "'w1' is no ratio of groups" in result.stderr


def test_a_threshold_and_other_criteria(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = run(mlp, target, "--threshold", "1.0", "--criterion", "fpgm", "--no-benchmark")
    assert (result.exit_code, result.stderr) == (0, "")
    assert width(target) < 64
    result = run(mlp, target, "--channels", "0.5", "--criterion", "fpmg")
    assert result.exit_code == 2
    assert "there is no criterion 'fpmg'" in result.stderr
    assert "did you mean 'fpgm'?" in result.stderr


def test_a_file_of_groups(run: Run, mlp: Path, tmp_path: Path) -> None:
    settings, target = tmp_path / "groups.toml", tmp_path / "out.onnx"
    settings.write_text('[[groups]]\nmatch = "w*"\nratio = 0.75\nminimum = 24\n')
    result = run(mlp, target, "--groups", settings, "--round-to", "1", "--no-benchmark")
    assert (result.exit_code, result.stderr) == (0, "")
    assert width(target) == 24
    settings.write_text('kinds = ["residual"]\n[[groups]]\nmatch = "w*"\nexclude = true\n')
    result = run(mlp, target, "--groups", settings, "--channels", "0.5")
    assert result.exit_code == 2
    assert "no group matches 'w*'" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[groups]", "cannot be read"),
        ("[[group]]\nmatch = 'a'", "did you mean 'groups'?"),
        ("[[groups]]\nmatch = 'a'\nration = 0.5", "did you mean 'ratio'?"),
        ("[[groups]]\nmatch = 'a'\nratio = true", "True makes no sense"),
        ("[[groups]]\nmatch = 'a'\nratio = 0.5\nexclude = true", "exclude each other"),
        ("[[groups]]\nratio = 0.5", "match is missing"),
        ("[[groups]]\nmatch = 'a'", "this asks for nothing"),
        ("[[groups]]\nmatch = 'a'\nminimum = 1.5", "1.5 makes no sense"),
        ("kinds = [1]", "[1] makes no sense"),
        ("groups = [1]", "this is a table"),
    ],
)
def test_files_of_groups_that_make_no_sense(
    run: Run, mlp: Path, tmp_path: Path, text: str, message: str
) -> None:
    settings = tmp_path / "groups.toml"
    settings.write_text(text)
    result = run(mlp, tmp_path / "out.onnx", "--groups", settings)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "groups.toml" in result.stderr


def test_a_latency_beside_other_wishes(
    run: Run, mlp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the only group its ratio is given: there is nothing left to meet the latency with."""
    monkeypatch.setenv("ONNXPRUNE_CACHE", "")
    wishes = ("--ratio", "w1=0.25", "--target-macs", "0.9", "--target-latency", "0.0001")
    result = run(mlp, tmp_path / "out.onnx", *wishes)
    assert result.exit_code == 1
    assert "cannot be met" in result.stderr
    assert "internal error" not in result.stderr


def test_a_latency_that_is_met_already(
    run: Run, mlp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPRUNE_CACHE", str(tmp_path / "cache"))
    result = run(mlp, tmp_path / "out.onnx", "--target-latency", "5s")
    assert result.exit_code == 1
    assert "ms already" in result.stderr
    assert list((tmp_path / "cache").iterdir())
    result = run(mlp, tmp_path / "out.onnx", "--target-latency", "5 minutes")
    assert result.exit_code == 2
    assert "'5 minutes' is no target for latency" in result.stderr


def test_lossless(run: Run, mlp: Path, tmp_path: Path) -> None:
    refused = run(mlp, tmp_path / "out.onnx", "--lossless")
    assert refused.exit_code == 3
    assert "no channel of this model is provably without effect" in refused.stderr
    proto = onnx.ModelProto.FromString(mlp.read_bytes())
    (weight,) = (tensor for tensor in proto.graph.initializer if tensor.name == "w2")
    array = onnx.numpy_helper.to_array(weight).copy()
    array[2] = 0
    weight.CopyFrom(onnx.numpy_helper.from_array(array, "w2"))
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    source.write_bytes(proto.SerializeToString())
    result = run(source, target, "--lossless", "--no-benchmark")
    assert result.exit_code == 0
    assert width(target) == width(source) - 1
    for other in (("--channels", "0.3"), ("--repair",), ("--steps", "2")):
        both = run(source, target, "--lossless", *other)
        assert both.exit_code == 2
        assert f"--lossless and {other[0]} exclude each other" in both.stderr
    assert run(source, target, "--lossless", "--no-repair", "--no-benchmark").exit_code == 0


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
