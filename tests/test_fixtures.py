"""The trained networks: every export prunes to a valid, equivalent, smaller model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnx.external_data_helper
import pytest

import onnxprune as op
from onnxprune.coupling.axis_plan import AxisPlan, Blocks
from onnxprune.pipelines.result import Result
from onnxprune.verify.sessions import session_of
from tests.conftest import FIXTURES
from tests.texts import assert_valid

MODELS = sorted(path.name for path in FIXTURES.glob("*.onnx"))


@cache
def pruned(name: str) -> Result:
    return op.prune(FIXTURES / name, 0.3)


def accuracy(model: op.Model) -> float:
    with np.load(FIXTURES / "digits_test.npz") as data:
        image, label = data["image"], data["label"]
    with session_of(model) as session:
        logits = session.run({"image": image})["logits"]
    return float((logits.argmax(axis=1) == label).mean())


def test_there_are_fixtures() -> None:
    assert len(MODELS) >= 5


@pytest.mark.parametrize("name", MODELS)
def test_pruned_fixtures_are_valid_equivalent_and_smaller(name: str) -> None:
    result = pruned(name)
    verdict = result.verify()
    assert verdict.passed
    assert verdict.reacting >= 0.95 * verdict.compared  # the class token varies with nothing
    assert result.model.parameters < 0.8 * result.original.parameters
    assert result.model.size_bytes < 0.8 * result.original.size_bytes
    assert_valid(result.model)


@pytest.mark.parametrize("name", MODELS)
def test_pruned_fixtures_run_at_other_batch_sizes(name: str) -> None:
    result = pruned(name)
    for batch in (1, 5):
        assert result.verify(result.feeds(batch=batch)).passed
    with session_of(result.model) as session:
        (port,) = session.inputs
        shape = [17, *(size for size in port.shape[1:] if isinstance(size, int))]
        image = np.zeros(shape, np.uint8 if "uint8" in port.dtype else np.float32)
        assert session.run({port.name: image})["logits"].shape == (17, 10)


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("digits")])
def test_light_pruning_keeps_the_accuracy(name: str) -> None:
    """A weak test of the criterion: what is removed first hardly matters."""
    model = op.load(FIXTURES / name)
    assert accuracy(model) > 0.98
    light = op.prune(model, 0.05, round_to=1)
    assert light.is_pruned
    assert accuracy(light.model) > 0.75


def kept_by_layer(name: str) -> list[dict[int, AxisPlan]]:
    """What stays of the weight of each convolution and linear layer, in graph order."""
    result = op.prune(FIXTURES / name, 0.3, round_to=1)
    layers = (n for n in result.original.proto.graph.node if n.op_type in ("Conv", "Gemm"))
    return [result.plan.initializers.get(node.input[1], {}) for node in layers]


def test_fused_and_raw_exports_lose_the_same_channels() -> None:
    """Folding BatchNormalization into convolutions changes neither couplings nor ranking."""
    fused, raw = kept_by_layer("digits_cnn.ts.onnx"), kept_by_layer("digits_cnn.raw.onnx")
    assert len(fused) == len(raw) > 15
    assert fused == raw


@pytest.mark.parametrize("network", ["digits_cnn", "digits_vit"])
def test_both_exporters_lead_to_the_same_pruned_network(network: str) -> None:
    one, other = (pruned(f"{network}.{exporter}.onnx") for exporter in ("ts", "dyn"))
    share = [1 - r.model.parameters / r.original.parameters for r in (one, other)]
    assert share[0] == pytest.approx(share[1], abs=0.005)
    sizes = [sorted(g.size for g in r.removals[0].chosen) for r in (one, other)]
    assert sizes[0] == sizes[1]


def test_heads_are_pruned_as_a_whole() -> None:
    result = op.prune(FIXTURES / "digits_vit.ts.onnx", 0.5, kinds=("head",), round_to=1)
    heads = [group for group in result.removals[0].chosen if group.kind == "head"]
    assert [group.size for group in heads] == [4, 4, 4, 4]
    assert result.verify().passed
    for axes in result.plan.initializers.values():
        for kept in axes.values():
            assert not isinstance(kept, Blocks)
            assert len(kept) in (2 * 16, 3 * 2 * 16)


def test_external_data_in_external_data_out(tmp_path: Path) -> None:
    proto = op.load(FIXTURES / "digits_cnn.ts.onnx").to_proto()
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.external_data_helper.convert_model_to_external_data(
        proto, location="in.weights", size_threshold=256
    )
    outside = onnx.external_data_helper.write_external_data_tensors(proto, str(tmp_path))
    source.write_bytes(outside.SerializeToString())
    result = op.prune(source, 0.3)
    assert result.verify().passed
    result.model.save(target)
    assert (tmp_path / "out.onnx.data").stat().st_size > 10 * target.stat().st_size
    assert (tmp_path / "in.weights").exists()
    written = onnx.ModelProto.FromString(target.read_bytes())
    assert any(map(onnx.external_data_helper.uses_external_data, written.graph.initializer))
    reloaded, inline = op.load(target), pruned("digits_cnn.ts.onnx").model
    assert reloaded.constants.keys() == inline.constants.keys()
    for name, tensor in inline.constants.items():
        assert np.array_equal(reloaded.constants[name].numpy(), tensor.numpy())
