"""Quantization at the end of a pipeline: what is quantized, what is proven, what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxprune as op
from onnxprune.data.batches import Batch
from onnxprune.errors import (
    ModelError,
    NothingToPruneError,
    PlanError,
    RuntimeFailureError,
    UsageError,
)
from onnxprune.ir.difference import difference
from onnxprune.ops.registry import is_quantized
from onnxprune.passes import FoldConstants, FoldEmpty, Quantize
from onnxprune.passes.quantize import quantize
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.presets import lossless, pruning
from onnxprune.pipelines.result import Result
from onnxprune.verify.sessions import session_of
from tests.conftest import FIXTURES
from tests.texts import Weight, assert_valid, f32, model_of, op_types, proto_of
from tests.versions import needs_runtime

FOLDS_NORMALIZATIONS = needs_runtime((1, 31))
CONV = """g (float[n,3,8,8] x) => (float[n,4] y) {
    a = Conv<pads=[1,1,1,1]>(x, w1, b1)
    m = BatchNormalization(a, s, t, mean, var)  r = Relu(m)
    c = Conv<pads=[1,1,1,1]>(r, w2)  p = GlobalAveragePool(c)  f = Flatten(p)
    y = Gemm(f, w3, b3)
}"""
WEIGHTS: dict[str, Weight] = {
    "w1": (16, 3, 3, 3),
    "b1": (16,),
    "s": f32(np.linspace(0.5, 1.5, 16)),
    "t": (16,),
    "mean": (16,),
    "var": f32(np.linspace(0.5, 1.5, 16)),
    "w2": (8, 16, 3, 3),
    "w3": (8, 4),
    "b3": (4,),
}
TOKENS = """g (float[n,5,8] x) => (float[n,5,4] y) {
    a = MatMul(x, w1)  h = Add(a, b1)  r = Relu(h)  y = MatMul(r, w2)
}"""
SMALL: dict[str, Weight] = {"w1": (8, 16), "b1": (16,), "w2": (16, 4)}


def conv() -> op.Model:
    return model_of(CONV, WEIGHTS)


def tokens() -> op.Model:
    return model_of(TOKENS, SMALL)


def batches(shape: tuple[int, ...] = (3, 8, 8), count: int = 4) -> list[Batch]:
    rng = np.random.default_rng(1)
    return [Batch({"x": f32(rng.standard_normal((8, *shape)))}, None, 8) for _ in range(count)]


def alone(model: op.Model, data: list[Batch] | None = None, **options: Any) -> Result:
    return op.Pipeline([FoldConstants(), Quantize(**options)]).run(model, data=data)


def kinds(model: op.Model) -> Counter[str]:
    return Counter(op_types(model))


def test_static_quantization_stands_at_the_end_of_a_pipeline() -> None:
    """The proof is about the float model; both fidelities are measured."""
    data = batches()
    steps = pruning(ratio=0.5, round_to=1, quantize=Quantize())
    assert str(steps).endswith("repair,quantize")
    result = steps.run(conv(), data=data)
    float_alone = pruning(ratio=0.5, round_to=1).run(conv(), data=data)
    assert result.unquantized is not None
    assert result.unquantized.to_bytes() == float_alone.model.to_bytes()
    assert result.plan.initializers == float_alone.plan.initializers
    assert result.plan.repaired == float_alone.plan.repaired
    assert result.verify().passed
    assert_valid(result.model)
    assert kinds(result.model)["DequantizeLinear"] > 3
    feeds = [batch.feeds for batch in data]
    (whole,) = result.fidelity(feeds).values()
    (apart,) = result.quantization_fidelity(feeds).values()
    (before,) = float_alone.fidelity(feeds).values()
    assert 20 < apart.sqnr_db < 60
    assert apart.sqnr_db > whole.sqnr_db
    assert abs(whole.sqnr_db - before.sqnr_db) < 1


@pytest.mark.parametrize("mode", quantize.MODES)
def test_a_trained_network_keeps_its_answers(mode: str) -> None:
    model = op.load(FIXTURES / "digits_cnn.ts.onnx")
    fit = op.open_data(FIXTURES / "digits_calibration.npz", model)
    test = op.open_data(FIXTURES / "digits_test.npz", model, labels="label")
    result = op.prune(model, 0.3, data=fit, quantize=Quantize(mode=mode))
    assert result.verify().passed
    score = result.evaluate(test, ["top1"]).scores["top1"]
    assert score.original is not None
    assert score.pruned > score.original - 0.015
    assert result.model.size_bytes < 0.4 * result.proven.size_bytes


def test_dynamic_quantization_needs_no_data() -> None:
    result = alone(tokens(), mode="dynamic")
    found = kinds(result.model)
    assert (found["MatMulInteger"], found["DynamicQuantizeLinear"], found["MatMul"]) == (2, 2, 0)
    (output,) = result.quantization_fidelity().values()
    assert 20 < output.sqnr_db < 60
    assert result.verify().passed
    assert not result.is_pruned


def test_dynamic_convolutions_run() -> None:
    """ONNX Runtime's take unsigned weights with one scale, and nothing else."""
    result = alone(conv(), mode="dynamic")
    assert kinds(result.model)["ConvInteger"] == 2
    assert kinds(result.model)["MatMulInteger"] == 1


def scales(model: op.Model, weight: str) -> int:
    """How many scales a weight has."""
    name = next(n for n in model.constants if n.startswith(weight) and n.endswith("scale"))
    return model.constants[name].size


@FOLDS_NORMALIZATIONS
@pytest.mark.parametrize("mode", quantize.MODES)
def test_normalizations_are_folded_into_layers_first(mode: str) -> None:
    assert "BatchNormalization" not in op_types(alone(conv(), batches(), mode=mode).model)


@pytest.mark.parametrize(("per_channel", "expected"), [(True, 8), (False, 1)])
def test_scales_of_channels(per_channel: bool, expected: int) -> None:
    assert scales(alone(conv(), batches(), per_channel=per_channel).model, "w2") == expected
    dynamic = alone(tokens(), mode="dynamic", per_channel=per_channel).model
    assert scales(dynamic, "w2") == (4 if per_channel else 1)


@pytest.mark.parametrize("symmetric", [False, True])
def test_symmetric_activations(symmetric: bool) -> None:
    model = alone(conv(), batches(), symmetric=symmetric).model
    quantizers = [node for node in model.proto.graph.node if node.op_type == "QuantizeLinear"]
    zeros = [model.constants[node.input[2]].numpy() for node in quantizers]
    assert {zero.dtype for zero in zeros} == {np.dtype(np.int8 if symmetric else np.uint8)}
    assert (not any(zero.any() for zero in zeros)) == symmetric


@pytest.mark.parametrize("mode", quantize.MODES)
@pytest.mark.parametrize(
    ("pattern", "stays"),
    [
        ("w2", "w2"),
        ("Gemm", "w3"),
        ("c", "w2"),
        pytest.param("BatchNormalization", "w1", marks=FOLDS_NORMALIZATIONS),
    ],
)
def test_what_matches_stays_in_floating_point(mode: str, pattern: str, stays: str) -> None:
    """Also where it was fused into another layer, or reads another form of its weight."""
    data = batches()
    left = alone(conv(), data, mode=mode, ignore=(pattern,)).model
    full = alone(conv(), data, mode=mode).model

    def floats(model: op.Model) -> list[tuple[int, ...]]:
        return sorted(
            tuple(sorted(x.shape))
            for x in model.constants.values()
            if x.dtype == np.float32 and len(x.shape) >= 2 and x.size > 16
        )

    assert floats(full) == []
    assert floats(left) == [tuple(sorted(conv().constants[stays].shape))]


def test_nodes_without_names_are_told_apart() -> None:
    result = alone(tokens(), batches((5, 8)), ignore=("y",))
    matmuls = [node for node in result.model.proto.graph.node if node.op_type == "MatMul"]
    weights = {name for node in matmuls for name in node.input}
    assert "w2" in weights
    assert "w1" not in weights


def test_what_a_model_says_of_itself_survives() -> None:
    proto = proto_of(CONV, WEIGHTS)
    proto.producer_name, proto.doc_string, proto.model_version = "mine", "a model", 7
    proto.metadata_props.add(key="classes", value="cat,dog")
    proto.graph.doc_string = "a graph"
    proto.graph.input[0].doc_string = "an image"
    proto.graph.node[0].name = "first"
    proto.graph.node[0].doc_string = "the first"
    proto.graph.node[0].metadata_props.add(key="namespace", value="stem")
    before = op.load(proto)
    for result in (alone(before, batches()), alone(before, mode="dynamic")):
        found = difference(before, result.model)
        assert (found.lost, found.ports, found.versions) == ([], {}, {})
        assert [entry.key for entry in result.model.proto.metadata_props] == ["classes"]
    node = next(n for n in alone(before, batches()).model.proto.graph.node if n.name == "first")
    assert node.doc_string == "the first"
    assert node.metadata_props[0].value == "stem"


def test_calibration_follows_pruned_inputs() -> None:
    """Where an axis of an input was pruned, the data is narrowed to what is left."""
    text = """g (float[n,8] x) => (float[n,4] y) {
        a = Mul(x, s)  h = MatMul(a, w1)  r = Relu(h)  y = MatMul(r, w2)
    }"""
    model = model_of(text, {"s": (8,), "w1": (8, 16), "w2": (16, 4)})
    steps = pruning(ratio=0.5, round_to=1, allow_io=("x:1",), repair=False, quantize=Quantize())
    result = steps.run(model, data=batches((8,)))
    assert result.ports["x"][1].size == 4
    assert result.verify().passed
    assert result.quantization_fidelity()["y"].sqnr_db > 20


def test_the_same_input_gives_the_same_bytes() -> None:
    for data, options in ((batches(), {}), (None, {"mode": "dynamic"})):
        first, second = (alone(conv(), data, **options).model.to_bytes() for _ in range(2))
        assert first == second


def test_a_quantized_result_is_pruned_again() -> None:
    once = op.prune(conv(), 0.25, round_to=1, data=batches(), quantize=Quantize()).model
    again = op.prune(once, 0.3, round_to=1)
    assert again.is_pruned
    assert again.verify().passed


def test_lossless_pruning_may_be_followed_by_quantization() -> None:
    result = lossless(quantize=Quantize(mode="dynamic")).run(tokens())
    assert not result.is_pruned
    assert is_quantized(result.model)


def test_proofs_after_each_pass_are_about_the_float_model() -> None:
    steps = pruning(ratio=0.5, round_to=1, quantize=Quantize())
    assert steps.run(conv(), data=batches(), verify_each=True).verify().passed


def test_equivalence_of_a_quantized_candidate_is_not_told() -> None:
    result = op.prune(conv(), 0.5, round_to=1, data=batches(), quantize=Quantize())
    comparison = Comparison(conv(), result.model, {}, plan=result.plan)
    verdict = comparison.equivalence()
    assert verdict.verdict == "cannot tell"
    assert "quantized" in verdict.why
    assert comparison.fidelity()["y"].cosine > 0.5
    assert Comparison(conv(), result.proven, {}, plan=result.plan).equivalence().passed


def test_a_plan_with_quantization_only_prunes(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    result = op.prune(conv(), 0.5, round_to=1, data=batches(), quantize=Quantize(), repair=False)
    result.plan.save(path)
    replayed = op.apply_plan(op.Plan.load(path), conv(), repair=False)
    assert replayed.model.to_bytes() == result.proven.to_bytes()


@pytest.mark.parametrize(("opset", "ir"), [(9, 4), (11, 3), (12, 7), (13, 7), (21, 10)])
@pytest.mark.parametrize(
    ("options", "least"), [({}, 13), ({"per_channel": False}, 11), ({"mode": "dynamic"}, 11)]
)
def test_old_opsets_are_raised_as_far_as_needed(
    opset: int, ir: int, options: dict[str, Any], least: int
) -> None:
    proto = proto_of(CONV, WEIGHTS, opset=opset)
    proto.ir_version = ir
    if ir < 4:
        proto.graph.input.extend(
            onnx.helper.make_tensor_value_info(x.name, x.data_type, x.dims)
            for x in proto.graph.initializer
        )
    result = alone(op.load(proto), batches(), **options)
    assert result.model.opset[""] == max(opset, least)
    assert any("raised the opset" in did for did in result.reports[-1].did) == (opset < least)
    assert result.verify().passed
    assert result.quantization_fidelity()["y"].sqnr_db > 20


def test_other_types_are_refused_before_the_work() -> None:
    half = model_of(
        "g (float16[n,4] x) => (float16[n,4] y) { y = MatMul(x, w) }",
        {"w": np.ones((4, 4), np.float16)},
    )
    with pytest.raises(ModelError, match="a model in float16 cannot be quantized"):
        alone(half, mode="dynamic")


@pytest.mark.parametrize("mode", quantize.MODES)
def test_nothing_is_quantized_twice(mode: str) -> None:
    once = alone(conv(), batches()).model
    with pytest.raises(NothingToPruneError, match="quantized already"):
        alone(once, batches(), mode=mode)


def test_where_nothing_can_be_quantized() -> None:
    model = model_of("g (float[n,4] x) => (float[n,4] y) { y = Erf(x) }", {})
    with pytest.raises(NothingToPruneError, match="nothing was quantized"):
        alone(model, mode="dynamic")
    with pytest.raises(NothingToPruneError, match="nothing was quantized") as raised:
        alone(tokens(), mode="dynamic", ignore=("MatMul",))
    assert "ignore less" in raised.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "int4"}, "no mode of quantization 'int4'"),
        ({"mode": "dynamic", "symmetric": True}, "symmetric activations"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Quantize(**options)


def test_data_is_asked_for_before_the_work() -> None:
    passed: list[str] = []
    with pytest.raises(UsageError, match="needs data") as raised:
        pruning(ratio=0.5, quantize=Quantize()).run(conv(), progress=passed.append)
    assert "--data" in raised.value.hint
    assert not passed
    with pytest.raises(UsageError, match="no data to calibrate"):
        alone(conv(), [])


@pytest.mark.parametrize("following", [FoldEmpty(), Quantize(mode="dynamic")])
def test_quantization_comes_last(following: Any) -> None:
    steps = [FoldConstants(), Quantize(mode="dynamic"), following]
    with pytest.raises(UsageError, match="quantize comes last"):
        op.Pipeline(steps).run(tokens())


def test_patterns_that_match_nothing_are_errors() -> None:
    with pytest.raises(UsageError, match="no node matches 'fc'"):
        alone(tokens(), mode="dynamic", ignore=("MatMul", "fc"))


def test_models_too_large_for_the_quantizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "EXTERNAL_THRESHOLD_BYTES", 100)
    with pytest.raises(ModelError, match="too large to be quantized"):
        alone(tokens(), mode="dynamic")


def test_what_does_not_run_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up quantizer gives a convolution a scale for each channel, which does not run."""
    broken = model_of(
        """g (float[n,3,8,8] x) => (float[n,4] y) {
            q, s, z = DynamicQuantizeLinear(x)  c = ConvInteger(q, w, z, wz)
            f = Cast<to=1>(c)  p = GlobalAveragePool(f)  y = Flatten(p)
        }""",
        {"w": np.ones((4, 3, 3, 3), np.int8), "wz": np.zeros(4, np.int8)},
    )
    monkeypatch.setattr(quantize, "quantized_dynamically", lambda *_, **__: broken.to_bytes())
    with pytest.raises(RuntimeFailureError, match="what its quantizer made"):
        alone(conv(), mode="dynamic")


def test_outputs_stay_what_they_are_called() -> None:
    result = alone(conv(), batches())
    with session_of(result.model) as session:
        assert [port.name for port in session.outputs] == ["y"]
        assert session.run({"x": np.zeros((3, 3, 8, 8), np.float32)})["y"].shape == (3, 4)


def test_weights_stay_where_they_were(tmp_path: Path) -> None:
    """A model with external data is saved with external data."""
    source = tmp_path / "in.onnx"
    model_of(TOKENS, {"w1": (8, 640), "b1": (640,), "w2": (640, 4)}).save(source, external=True)
    result = alone(op.load(source), mode="dynamic")
    result.model.save(tmp_path / "out.onnx")
    assert result.model.external
    assert is_quantized(op.load(tmp_path / "out.onnx"))
    assert (tmp_path / "out.onnx.data").exists()


def test_a_plan_knows_the_repaired_weights_of_the_float_model() -> None:
    """A repaired weight is hashed as it was before it was quantized."""
    result = op.prune(conv(), 0.5, round_to=1, data=batches(), quantize=Quantize())
    assert result.plan.repaired
    other = op.prune(conv(), 0.5, round_to=1).model
    with pytest.raises(PlanError, match="not the one that the plan's repair made"):
        Comparison(conv(), other, {}, plan=result.plan).equivalence()


def test_it_says_how_much_was_quantized() -> None:
    share = 16 * 8 / (16 * 8 + 16 * 4)
    (did,) = alone(tokens(), mode="dynamic", ignore=("w2",)).reports[-1].did
    assert did == f"quantized {share:.1%} of the numbers in matrices"
    (did,) = alone(tokens(), batches((5, 8))).reports[-1].did
    assert did == "quantized 100.0% of the numbers in matrices"
