"""How much goes, and of what: budgets, blocks, ratios of groups, thresholds, widths."""

import json
from pathlib import Path
from typing import Any

import onnx
import onnx.numpy_helper
import pytest

from tests.cli.conftest import assert_refused, width
from tests.conftest import Run

FAST = ("--channels", "0.5", "--no-benchmark")


@pytest.mark.parametrize(("given", "expected"), [("1", 45), ("8", 48), ("32", 32), ("auto", 48)])
def test_widths_are_rounded(run: Run, mlp: Path, tmp_path: Path, given: str, expected: int) -> None:
    target = tmp_path / "out.onnx"
    assert run(mlp, target, "--channels", "0.3", "--round-to", given, "-q").exit_code == 0
    assert width(target) == expected


def test_kinds_choose_groups(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    none = run(mlp, target, *FAST, "--kinds", "head,channel")
    assert_refused(none, 3, "nothing in this model can be pruned as asked", "kind intermediate")
    for wanted in (("intermediate", "--kinds", "head"), ("+head_dim",), ("all",)):
        assert run(mlp, target, *FAST, "--kinds", *wanted).exit_code == 0
        assert width(target) == 32
        target.unlink()
    mixed = run(mlp, target, *FAST, "--kinds", "channel,+head")
    assert_refused(mixed, 2, "all listed or all added")
    assert_refused(run(mlp, target, *FAST, "--kinds", "hat"), 2, "no kind 'hat'")


def test_two_budgets_are_both_met_and_hardly_undercut(run: Run, cnn: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    options = ("--target-macs", "0.6", "--target-size", "500kB", "--no-benchmark", "--json")
    result = run(cnn, target, *options)
    assert result.exit_code == 0
    document: dict[str, Any] = json.loads(result.stdout)
    share = document["pruned"]["macs"] / document["original"]["macs"]
    assert share <= 0.6
    assert target.stat().st_size <= 500_000
    assert share > 0.588 or target.stat().st_size > 490_000


def test_so_many_blocks_go_and_are_named(run: Run, cnn: Path, tmp_path: Path) -> None:
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


def test_blocks_and_channels_go_together_and_too_many_blocks_are_an_error(
    run: Run, cnn: Path, tmp_path: Path
) -> None:
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


def test_ratios_of_some_groups_are_kept_or_refused(run: Run, mlp: Path, tmp_path: Path) -> None:
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


def test_a_file_of_groups_sets_ratios_and_minima(run: Run, mlp: Path, tmp_path: Path) -> None:
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


def test_lossless_takes_what_is_without_effect_and_nothing_else(
    run: Run, mlp: Path, tmp_path: Path
) -> None:
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
    target.unlink()
    assert run(source, target, "--lossless", "--no-repair", "--no-benchmark").exit_code == 0
    assert width(target) == width(source) - 1
