"""Plans on a framework's weights: by name, by value, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxprune as op
from onnxprune.errors import PlanError
from tests.texts import Weight, model_of

TEXT = """g (float[2,4] x) => (float[2,3] y) {
    h = MatMul(x, onnx__MatMul_12)  b = Add(h, fc1_bias)  r = Relu(b)
    i = Gemm<transB=1>(r, fc2_weight, fc2_bias)  y = MatMul(i, onnx__MatMul_13)
}"""
WEIGHTS: dict[str, Weight] = {
    "onnx__MatMul_12": (4, 8),
    "fc1_bias": (8,),
    "fc2_weight": (6, 8),
    "fc2_bias": (6,),
    "onnx__MatMul_13": (6, 3),
}
RENAMED = {
    "onnx__MatMul_12": "onnx::MatMul_12",
    "onnx__MatMul_13": "onnx::MatMul_13",
    "fc1_bias": "fc1.bias",
    "fc2_weight": "fc2.weight",
    "fc2_bias": "fc2.bias",
}


def exported() -> op.Model:
    """A model with the names that exporters give, which the text format has no words for."""
    proto = model_of(TEXT, WEIGHTS).to_proto()
    for tensor in proto.graph.initializer:
        tensor.name = RENAMED[tensor.name]
    for node in proto.graph.node:
        node.input[:] = [RENAMED.get(name, name) for name in node.input]
    return op.load(proto)


def framework(model: op.Model) -> dict[str, np.ndarray[Any, Any]]:
    """The weights as PyTorch has them: linear weights are output by input."""
    arrays = {name: tensor.numpy() for name, tensor in model.constants.items()}
    return {
        "fc1.weight": arrays["onnx::MatMul_12"].T,
        "fc1.bias": arrays["fc1.bias"],
        "fc2.weight": arrays["fc2.weight"],
        "fc2.bias": arrays["fc2.bias"],
        "fc3.weight": arrays["onnx::MatMul_13"].T,
        "steps": np.array(7),
    }


def test_weights_are_found_by_name_and_by_value() -> None:
    model = exported()
    result = op.prune(model, 0.5, round_to=1)
    assert result.plan.initializers.keys() == model.constants.keys()
    state = framework(model)
    before = {name: array.copy() for name, array in state.items()}
    sliced = result.plan.apply_to_state_dict(state)
    expected = framework(result.model)
    assert list(sliced) == list(state)
    for name, array in expected.items():
        assert np.array_equal(sliced[name], array), name
        assert np.array_equal(state[name], before[name])
    assert sliced["fc1.weight"].shape == (4, 4)


def test_a_plan_from_a_file_goes_by_name_alone() -> None:
    model = exported()
    plan = op.Plan.from_json(op.prune(model, 0.5, round_to=1).plan.to_json())
    with pytest.raises(PlanError, match="as a whole") as raised:
        plan.apply_to_state_dict(framework(model))
    assert raised.value.where.endswith("counterpart: onnx::MatMul_12, onnx::MatMul_13")
    assert raised.value.exit_code == 3
    sliced = plan.apply_to_state_dict(framework(model), model)
    assert sliced["fc1.weight"].shape == (4, 4)


def test_not_strict_leaves_unknown_weights_whole() -> None:
    model = exported()
    plan = op.prune(model, 0.5, round_to=1).plan
    state = framework(model)
    state["fc1.weight"] = state["fc1.weight"] + 1
    with pytest.raises(PlanError, match="onnx::MatMul_12"):
        plan.apply_to_state_dict(state)
    sliced = plan.apply_to_state_dict(state, strict=False)
    assert sliced["fc1.weight"].shape == (8, 4)
    assert sliced["fc2.weight"].shape == (3, 4)


def test_copies_of_a_weight_are_sliced_alike() -> None:
    model = exported()
    plan = op.prune(model, 0.5, round_to=1).plan
    state = framework(model)
    state["ema.fc1.weight"] = state["fc1.weight"].copy()
    sliced = plan.apply_to_state_dict(state)
    assert np.array_equal(sliced["ema.fc1.weight"], sliced["fc1.weight"])
    assert sliced["fc1.weight"].shape == (4, 4)


def test_tensors_that_the_model_does_not_have_are_named() -> None:
    model = exported()
    plan = op.prune(model, 0.5, round_to=1).plan
    state = framework(model) | {"extra.weight": np.ones((8, 8), np.float32)}
    with pytest.raises(PlanError, match=r"does not have: extra\.weight"):
        plan.apply_to_state_dict(state)
    assert plan.apply_to_state_dict(state, strict=False)["extra.weight"].shape == (8, 8)


@pytest.mark.parametrize(
    ("missing", "initializer"),
    [
        ("fc1.weight", "onnx::MatMul_12"),
        ("fc2.weight", "fc2.weight"),
        ("fc1.bias", "fc1.bias"),
    ],
)
def test_missing_tensors_are_named(missing: str, initializer: str) -> None:
    model = exported()
    plan = op.prune(model, 0.5, round_to=1).plan
    state = framework(model)
    del state[missing]
    with pytest.raises(PlanError, match="as a whole") as raised:
        plan.apply_to_state_dict(state)
    assert raised.value.where == f"weights of the plan without counterpart: {initializer}"


def test_same_name_of_another_shape_is_not_taken() -> None:
    model = exported()
    plan = op.prune(model, 0.5, round_to=1).plan
    state = framework(model)
    state["fc2.weight"] = state["fc2.weight"][:, :4]
    with pytest.raises(PlanError, match=r"fc2\.weight"):
        plan.apply_to_state_dict(state)


def test_square_matrices_are_told_by_their_values() -> None:
    text = (
        "g (float[2,3] x) => (float[2,3] y) { a = MatMul(x, p) b = MatMul(a, q) y = MatMul(b, r) }"
    )
    model = model_of(text, {"p": (3, 5), "q": (5, 5), "r": (5, 3)})
    result = op.prune(model, 0.4, round_to=1)
    arrays = {name: tensor.numpy() for name, tensor in model.constants.items()}
    plan = result.plan.initializers["q"]
    assert plan[0] != plan[1]
    whole = {"one": arrays["q"], "two": arrays["p"], "three": arrays["r"]}
    pruned = result.model.constants["q"].numpy()
    sliced = result.plan.apply_to_state_dict(whole)
    assert np.array_equal(sliced["one"], pruned)
    sliced = result.plan.apply_to_state_dict({name: array.T for name, array in whole.items()})
    assert np.array_equal(sliced["one"], pruned.T)


def test_merged_vectors_that_are_sliced_apart_are_refused() -> None:
    """Two equal biases are one initializer in the file; the plan has two entries for it."""
    text = """g (float[2,4] x) => (float[2,3] y) {
        a = Gemm(x, p, b)  c = Gemm(a, q, b)  y = MatMul(c, r)
    }"""
    bias = np.full(6, 0.5, np.float32)
    model = model_of(text, {"p": (4, 6), "q": (6, 6), "r": (6, 3), "b": bias})
    plan = op.prune(model, 0.5, round_to=1).plan
    assert {"b", "b::2"} <= plan.initializers.keys()
    assert plan.initializers["b"] != plan.initializers["b::2"]
    state = {name: tensor.numpy() for name, tensor in model.constants.items() if name != "b"}
    with pytest.raises(PlanError) as raised:
        plan.apply_to_state_dict(state | {"one.bias": bias, "two.bias": bias})
    assert raised.value.where == "weights of the plan without counterpart: b, b::2"


def test_merged_vectors_that_are_sliced_alike() -> None:
    """A residual stream: both biases lose the same channels, however many tensors hold them."""
    text = """g (float[2,4] x) => (float[2,3] y) {
        a = Gemm(x, p, b)  c = Gemm(x, q, b)  s = Add(a, c)  y = MatMul(s, r)
    }"""
    bias = np.full(6, 0.5, np.float32)
    model = model_of(text, {"p": (4, 6), "q": (4, 6), "r": (6, 3), "b": bias})
    plan = op.prune(model, 0.5, round_to=1).plan
    state = {name: tensor.numpy() for name, tensor in model.constants.items() if name != "b"}
    for biases in ({"one.bias": bias, "two.bias": bias}, {"bias": bias}, {"b": bias}):
        sliced = plan.apply_to_state_dict(state | biases)
        assert all(sliced[name].shape == (3,) for name in biases)
    with pytest.raises(PlanError, match="without counterpart: b, b::2"):
        plan.apply_to_state_dict(state)


def test_blocks_of_one_weight_are_sliced_apart() -> None:
    first = np.ones((6, 3, 1, 1), np.float32) * np.arange(1, 4, dtype=np.float32)[:, None, None]
    first[[0, 4]] = 0.1
    model = model_of(
        """g (float[2,3,5,5] x) => (float[2,5,5,5] y) {
            a = Conv(x, w0)  h = Conv<group=2>(a, w1)  y = Conv(h, w2)
        }""",
        {"w0": first, "w1": (8, 3, 1, 1), "w2": (5, 8, 1, 1)},
    )
    result = op.prune(model, 0.34, round_to=1)
    state = {name: tensor.numpy() for name, tensor in model.constants.items()}
    sliced = result.plan.apply_to_state_dict(state)
    for name, tensor in result.model.constants.items():
        assert np.array_equal(sliced[name], tensor.numpy()), name
