"""What type checkers infer for the calls that the README shows, and that it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import onnxprune as op
from onnxprune.passes.work import PassReport, Removal
from onnxprune.verify.equivalence import Equivalence
from onnxprune.verify.evaluation import Evaluation
from onnxprune.verify.fidelity import Fidelity
from tests.cli.conftest import MLP
from tests.conftest import FIXTURES
from tests.texts import with_weights


def test_models() -> None:
    model = assert_type(op.load(with_weights(MLP)), op.Model)
    assert isinstance(model, op.Model)
    assert isinstance(assert_type(model.parameters, int), int)
    assert isinstance(assert_type(model.opset, dict[str, int]), dict)
    assert isinstance(assert_type(model.sha256, str), str)
    assert isinstance(assert_type(op.Model.load(with_weights(MLP)), op.Model), op.Model)


def test_pipelines_and_results() -> None:
    pipeline = op.Pipeline([op.passes.FoldConstants(), op.passes.RemoveChannels(ratio=0.5)])
    result = assert_type(pipeline.run(op.load(with_weights(MLP))), op.Result)
    assert isinstance(result, op.Result)
    assert isinstance(assert_type(result.verify(), Equivalence), Equivalence)
    assert isinstance(assert_type(result.fidelity(), dict[str, Fidelity])["y"], Fidelity)
    assert isinstance(assert_type(result.reports, list[PassReport])[0], PassReport)
    assert isinstance(assert_type(result.removals, list[Removal])[0], Removal)
    assert isinstance(assert_type(op.prune(result.original), op.Result), op.Result)


def test_plans(tmp_path: Path) -> None:
    result = op.prune(op.load(with_weights(MLP)), 0.5)
    plan = assert_type(result.plan, op.Plan)
    plan.save(tmp_path / "plan.json")
    assert assert_type(op.Plan.load(tmp_path / "plan.json"), op.Plan).to_json() == plan.to_json()
    weights = {name: tensor.numpy() for name, tensor in result.original.constants.items()}
    sliced = assert_type(plan.apply_to_state_dict(weights), dict[str, Any])
    assert sliced["w1"].shape == (16, 32)
    again = assert_type(op.apply_plan(plan, result.original), op.Result)
    assert again.model.to_bytes() == result.model.to_bytes()


def test_data() -> None:
    model = op.load(FIXTURES / "digits_cnn.ts.onnx")
    data = op.open_data(str(FIXTURES / "digits_test.npz"), model, labels="label", limit=32)
    assert isinstance(assert_type(data, op.Dataset), op.Dataset)
    evaluation = assert_type(op.prune(model, 0.1).evaluate(data, ["top1"]), Evaluation)
    assert evaluation.scores


def test_graphs_and_sensitivity() -> None:
    model = op.load(with_weights(MLP))
    graph = assert_type(op.dependency_graph(model), op.DependencyGraph)
    assert "operator:0" in graph
    found = assert_type(op.sensitivity(model, ratios=(0.5,)), op.Sensitivity)
    assert found.ratios == (0.5,)
