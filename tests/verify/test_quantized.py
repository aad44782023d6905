"""Quantized networks: rounding flips here and there, faults are found where they are."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

import onnxprune as op
from onnxprune.errors import EquivalenceError
from onnxprune.ir.edit import with_constants
from onnxprune.ir.tensors import ArrayTensor
from onnxprune.verify.deviation import compare, noise_between
from onnxprune.verify.steps import is_coarse, steps
from tests.texts import Weight, model_of, node_of, replace

DEPTH = 12
WIDTH = 16
Bytes = npt.NDArray[np.uint8]


def deep() -> op.Model:
    """Convolutions channel by channel, with a rounding in front of and behind each."""
    rng = np.random.default_rng(0)
    weights: dict[str, Weight] = {"zero": np.array(128, np.uint8), "wz": np.zeros(WIDTH, np.int8)}
    weights["s0"] = np.array(0.05, np.float32)
    layers = ["q0 = QuantizeLinear(x, s0, zero)  d0 = DequantizeLinear(q0, s0, zero)"]
    for i in range(1, DEPTH + 1):
        fan_in = 9 * (3 if i == 1 else WIDTH)
        kernel = rng.integers(-127, 128, (WIDTH, fan_in // 9, 3, 3), dtype=np.int8)
        scale = (rng.uniform(0.5, 1.5, WIDTH) / 73 / fan_in**0.5).astype(np.float32)
        bias = rng.integers(-(1 << 12), 1 << 12, WIDTH, dtype=np.int32)
        weights |= {f"w{i}": kernel, f"ws{i}": scale, f"b{i}": bias}
        weights[f"bs{i}"], weights[f"bz{i}"] = scale * np.float32(0.05), np.zeros(WIDTH, np.int32)
        weights[f"s{i}"] = np.array(0.05, np.float32)
        layers.append(
            f"""k{i} = DequantizeLinear<axis=0>(w{i}, ws{i}, wz)
            c{i} = DequantizeLinear<axis=0>(b{i}, bs{i}, bz{i})
            h{i} = Conv<pads=[1,1,1,1]>(d{i - 1}, k{i}, c{i})
            q{i} = QuantizeLinear(h{i}, s{i}, zero)  d{i} = DequantizeLinear(q{i}, s{i}, zero)"""
        )
    body = "\n".join(layers)
    text = f"g (float[2,3,9,9] x) => (float[2,{WIDTH},9,9] d{DEPTH}) {{ {body} }}"
    return model_of(text, weights)


@pytest.fixture(scope="module")
def pruned() -> op.Result:
    return op.prune(deep(), 0.25, round_to=1)


def spoiled(result: op.Result, name: str, array: npt.NDArray[Any]) -> str:
    """What verification finds first of a result with other data in one constant."""
    wrong = dataclasses.replace(result, model=result.model.copy())
    replace(wrong.model, name, array)
    with pytest.raises(EquivalenceError):
        wrong.verify()
    assert wrong.equivalence is not None
    return wrong.equivalence.worst


def test_a_deep_network_is_proven_to_its_end(pruned: op.Result) -> None:
    """Unpinned, flips of the first roundings would reach most of what lies behind."""
    verdict = pruned.verify()
    assert pruned.is_pruned
    assert verdict.reacting == verdict.compared > 3 * DEPTH


@pytest.mark.parametrize("layer", [1, DEPTH // 2, DEPTH])
def test_a_wrong_scale_is_found_where_it_is(pruned: op.Result, layer: int) -> None:
    scales = pruned.model.constants[f"ws{layer}"].numpy()
    assert spoiled(pruned, f"ws{layer}", np.roll(scales, 1)) == f"h{layer}"


@pytest.mark.parametrize("layer", [1, DEPTH // 2, DEPTH])
def test_two_channels_in_each_others_place_are_found(pruned: op.Result, layer: int) -> None:
    kernel = pruned.model.constants[f"w{layer}"].numpy().copy()
    kernel[:, [0, 1]] = kernel[:, [1, 0]]
    assert spoiled(pruned, f"w{layer}", kernel) == f"h{layer}"


def test_a_bias_of_a_tenth_of_a_step_is_found(pruned: op.Result) -> None:
    """Behind the next rounding it would be lost among flips."""
    bias = pruned.model.constants["b5"].numpy()
    step = 0.05 / pruned.model.constants["bs5"].numpy()[3]
    wrong = bias + np.eye(1, len(bias), 3, dtype=np.int32)[0] * np.int32(step / 10)
    assert spoiled(pruned, "b5", wrong) == "h5"


def test_a_wrong_rounding_is_found(pruned: op.Result) -> None:
    other = ArrayTensor.of(np.asarray(pruned.model.constants["s4"].numpy() * np.float32(1.01)))
    wrong = dataclasses.replace(pruned, model=pruned.model.copy())
    node = node_of(wrong.model, "q4")
    node.input[1] = "other"
    wrong.model = with_constants(wrong.model, {**wrong.model.constants, "other": other})
    assert wrong.verify(check=False).worst == "q4"


def rounding_inside() -> op.Model:
    """Matrices of four bits; each product rounds what it reads to bytes."""
    rng = np.random.default_rng(0)
    weights: dict[str, Weight] = {}
    layers = []
    for i in range(1, DEPTH + 1):
        width = 32 if i == 1 else 128
        weights[f"w{i}"] = rng.integers(0, 256, (128, width // 16, 8), dtype=np.uint8)
        scales = rng.uniform(0.5, 1.5, 128 * width // 16) * 0.3 / width**0.5
        weights[f"s{i}"] = scales.astype(np.float32)
        sizes = f"K={width}, N=128, bits=4, block_size=16, accuracy_level=4"
        layers.append(
            f"""h{i} = com.microsoft.MatMulNBits<{sizes}>(r{i - 1}, w{i}, s{i})
            r{i} = Relu(h{i})"""
        )
    body = "\n".join(layers)
    header = '<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>'
    return model_of(
        f"{header} g (float[64,32] r0) => (float[64,128] r{DEPTH}) {{ {body} }}", weights
    )


def test_rounding_inside_operators_is_not_passed_on_either() -> None:
    result = op.prune(rounding_inside(), 0.3, round_to=1)
    verdict = result.verify()
    assert result.is_pruned
    assert verdict.reacting > 0.5 * verdict.compared
    scales = result.model.constants["s6"].numpy()
    assert spoiled(result, "s6", np.roll(scales, 1)) == "h6"


def image(seed: int, size: int = 4000) -> Bytes:
    return np.random.default_rng(seed).integers(0, 200, size, dtype=np.uint8)


def test_a_few_flips_are_rounding() -> None:
    flipped = image(0).copy()
    flipped[::100] += 1
    found = compare("x", [image(0), image(1)], [flipped, image(1)])
    assert (found.passed, found.reacts, found.max_abs) == (True, True, 0.01)
    assert noise_between(image(0), flipped).max_abs == 0.01


def test_many_flips_are_not() -> None:
    found = compare("x", [image(0), image(1)], [image(0) + np.uint8(1), image(1)])
    assert (found.passed, found.reacts, found.max_abs) == (False, True, 1)


def test_nor_is_one_element_far_off() -> None:
    wrong = image(0).copy()
    wrong[7] += 9
    assert not compare("x", [image(0), image(1)], [wrong, image(1)]).passed


def test_one_flip_of_a_small_tensor_is_rounding() -> None:
    few = image(0, 5)
    flipped = few + np.array([0, 0, 1, 0, 0], np.uint8)
    found = compare("x", [few, image(1, 5)], [flipped, image(1, 5)])
    assert found.passed


@pytest.mark.parametrize(
    "name", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float4_e2m1fn"]
)
def test_steps_of_small_floating_point(name: str) -> None:
    """Every number of the type is one step from the next."""
    dtype = np.dtype(getattr(ml_dtypes, name))
    bits = int(name[len("float")])
    every = np.arange(1 << bits, dtype=np.uint8).view(dtype)
    numbers = np.unique(every[~np.isnan(every)].astype(np.float32)).astype(dtype)
    assert is_coarse(dtype)
    assert (np.diff(steps(numbers)) == 1).all()
    assert steps(np.zeros(1, dtype)) == 0


def test_what_is_coarse() -> None:
    assert all(map(is_coarse, map(np.dtype, ("int8", "uint16", ml_dtypes.int4, ml_dtypes.uint2))))
    assert not any(map(is_coarse, map(np.dtype, ("bool", "int32", "float16", ml_dtypes.bfloat16))))
