"""The commands that only look: inspect, explain, graph, verify, passes."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from onnxprune.passes import PASSES
from tests.cli.conftest import Write, assert_refused
from tests.conftest import Run
from tests.texts import proto_of

FAST = ("--channels", "0.5", "--no-benchmark")


@pytest.fixture
def pruned(run: Run, mlp: Path, tmp_path: Path) -> Path:
    target = tmp_path / "out.onnx"
    assert run(mlp, target, *FAST, "--plan", tmp_path / "plan.json").exit_code == 0
    return target


def test_inspect_lists_groups(run: Run, cnn: Path) -> None:
    result = run("inspect", cnn)
    assert result.exit_code == 0
    assert "Coupling groups: 12, of which 12 offered" in result.stdout
    assert "residual" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_inspect_as_a_document(run: Run, mlp: Path) -> None:
    document = json.loads(run("inspect", mlp, "--json").stdout)
    (group,) = document["groups"]
    assert (group["kind"], group["size"], group["offered"]) == ("intermediate", 64, True)
    assert group["parameters"] == 16 * 64 + 64 + 64 * 8
    assert group["macs"] == document["model"]["macs"] == 16 * 64 + 64 * 8
    members = {(member["weight"], member["axis"]) for member in group["members"]}
    assert members == {("w1", 1), ("wb", 0), ("w2", 0)}
    assert document["prunable"] == {"parameters": 1.0, "macs": 1.0}


def test_inspect_says_why_a_group_is_not_offered(run: Run, mlp: Path) -> None:
    result = run("inspect", mlp, "--kinds", "head")
    assert "* kind intermediate is not offered" in result.stdout


def test_inspect_shows_zeros(run: Run, mlp: Path) -> None:
    result = run("inspect", mlp, "--sparsity")
    assert (result.exit_code, "0 of 1,600 numbers in weights" in result.stdout) == (0, True)
    assert max(map(len, result.stdout.splitlines())) <= 80
    document = json.loads(run("inspect", mlp, "--sparsity", "--json").stdout)
    assert [weight["name"] for weight in document["weights"]] == ["w1", "w2", "wb"]
    assert document["size"]["raw_bytes"] == mlp.stat().st_size
    for option in (("--kinds", "head"), ("--allow-io", "y:1")):
        refused = run("inspect", mlp, "--sparsity", *option)
        assert (refused.exit_code, f"{option[0]} exclude" in refused.stderr) == (2, True)


def test_inspect_names_unknown_operators(run: Run, write: Write) -> None:
    source = write("g (float[N, 16] x) => (float[N, 16] y) { y = acme.Twist(x) }")
    result = run("inspect", source)
    assert result.exit_code == 0
    assert "Unknown operator acme.Twist, 1 node" in result.stdout


def test_explain_shows_what_axes_are_tied_to(run: Run, mlp: Path) -> None:
    result = run("explain", mlp, "y")
    assert (result.exit_code, "graph output y, axis 1" in result.stdout) == (0, True)
    result = run("explain", mlp, "w1", "--json")
    axes = json.loads(result.stdout)["explanation"]["axes"]
    assert [axis["size"] for axis in axes] == [16, 64]
    unknown = run("explain", mlp, "w3")
    assert (unknown.exit_code, "w3" in unknown.stderr) == (2, True)


def test_graph_has_the_same_nodes_in_every_format(run: Run, mlp: Path, tmp_path: Path) -> None:
    dot = run("graph", mlp)
    assert (dot.exit_code, dot.stdout.startswith("digraph")) == (0, True)
    document = json.loads(run("graph", mlp, "--format", "json").stdout)
    target = tmp_path / "graph.graphml"
    written = run("graph", mlp, "--format", "graphml", "-o", target)
    assert (written.exit_code, written.stdout) == (0, "")
    assert len(ElementTree.parse(target).getroot().findall("{*}graph/{*}node")) == len(
        document["nodes"]
    )
    refused = run("graph", mlp, "-o", mlp)
    assert (refused.exit_code, "would replace" in refused.stderr) == (2, True)


def test_verify_reports_fidelity(run: Run, mlp: Path, pruned: Path) -> None:
    result = run("verify", mlp, pruned)
    assert (result.exit_code, "cosine" in result.stdout) == (0, True)
    assert "Equivalence" not in result.stdout
    same = json.loads(run("verify", mlp, mlp, "--json").stdout)
    assert same["fidelity"]["y"]["sqnr_db"] is None  # infinite
    assert same["fidelity"]["y"]["cosine"] == pytest.approx(1)


def test_verify_proves_a_plan(run: Run, mlp: Path, pruned: Path, tmp_path: Path) -> None:
    result = run("verify", mlp, pruned, "--plan", tmp_path / "plan.json", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["equivalence"]["passed"] is True


def test_verify_finds_a_changed_weight(run: Run, mlp: Path, pruned: Path, tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(pruned.read_bytes())
    for tensor in model.graph.initializer:
        if tensor.name == "w2":
            rotated = np.roll(onnx.numpy_helper.to_array(tensor), 1, axis=0)
            tensor.CopyFrom(onnx.numpy_helper.from_array(rotated, "w2"))
    pruned.write_bytes(model.SerializeToString())
    result = run("verify", mlp, pruned, "--plan", tmp_path / "plan.json", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["status"]) == (1, "failed")
    assert document["equivalence"]["passed"] is False


def test_verify_tells_how_the_files_differ(run: Run, mlp: Path, pruned: Path) -> None:
    structure = json.loads(run("verify", mlp, pruned, "--json").stdout)["structure"]
    assert structure["weights"]["resized"] > 0
    assert structure["metadata_lost"] == structure["operators"] == []
    model = onnx.ModelProto.FromString(pruned.read_bytes())
    model.opset_import[0].version += 1
    pruned.write_bytes(model.SerializeToString())
    assert "opset ai.onnx:" in run("verify", mlp, pruned).stdout


def test_verify_takes_tolerances(run: Run, mlp: Path, pruned: Path, tmp_path: Path) -> None:
    plan = ("--plan", tmp_path / "plan.json")
    document = json.loads(run("verify", mlp, pruned, *plan, "--tolerance", "1e-2", "--json").stdout)
    assert document["equivalence"]["tolerance"] == 1e-2
    assert_refused(run("verify", mlp, pruned, *plan, "--tolerance", "0"), 2, "'0' is no tolerance")
    assert "only with --plan" in run("verify", mlp, pruned, "--tolerance", "1e-2").stderr


def test_verify_refuses_models_with_other_inputs(run: Run, mlp: Path, cnn: Path) -> None:
    result = run("verify", mlp, cnn)
    assert (result.exit_code, "do not take the same inputs" in result.stderr) == (3, True)


def test_passes_are_listed_with_their_options(run: Run) -> None:
    result = run("passes")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in PASSES)
    assert "ratio (float, default 0.3)" in result.stdout
    document = json.loads(run("passes", "--json").stdout)
    assert [entry["name"] for entry in document["passes"]] == list(PASSES)


def test_models_whose_state_shrank_are_compared(run: Run, tmp_path: Path) -> None:
    """The batch is the second axis of the state; a single number is an input, too."""
    model = proto_of(
        """g (float[N, 6] x, float[1, N, 8] h, int64 step) => (float[1, N, 8] s, int64 next)
        <int64[1] first = {0}, int64 one = {1}> {
            t = Unsqueeze(x, first)
            y, s = GRU <hidden_size = 8> (t, w, r, , , h)
            next = Add(step, one)
        }""",
        {"w": (1, 24, 6), "r": (1, 24, 8)},
    )
    source = tmp_path / "in.onnx"
    source.write_bytes(model.SerializeToString())
    target, plan = tmp_path / "out.onnx", tmp_path / "plan.json"
    options = ("--allow-io", "h:2", "--allow-io", "s:2", "--plan", plan)
    result = run(source, target, "--channels", "0.5", *options)
    assert result.exit_code == 0, result.stderr
    assert "Input or output h changed: axis 2 keeps 4" in result.stdout
    verified = json.loads(run("verify", source, target, "--plan", plan, "--json").stdout)
    assert verified["equivalence"]["passed"] is True
    assert run("benchmark", source, target, "--budget", "0.05").exit_code in (0, 6)
