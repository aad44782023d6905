"""Zeros in weights: patterns along the channels that are summed over, and empty channels."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.cost.sparsity import PATTERNS, Array, Zeros, conforms, weight_zeros
from onnxprune.coupling.analysis import analyse
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.model import Model
from tests.texts import Weight, f32, model_of


def zeros_of(model: Model) -> dict[str, Zeros]:
    return {found.name: found for found in weight_zeros(analyse(canonicalise(model)))}


def by_loops(matrix: Array, taps: int, most: int, of: int) -> bool:
    for group in matrix:
        for column in group.T:
            for tap in range(taps):
                channels = list(column[tap::taps])
                while channels:
                    if sum(number != 0 for number in channels[:of]) > most:
                        return False
                    del channels[:of]
    return True


def test_patterns_are_found_as_by_counting() -> None:
    rng = np.random.default_rng(0)
    seen: set[bool] = set()
    for _ in range(300):
        groups, channels, taps, outputs = rng.integers(1, (3, 11, 4, 3))
        shape = (groups, channels * taps, outputs)
        matrix = rng.standard_normal(shape) * (rng.random(shape) < rng.choice((0.15, 0.5)))
        for most, of in PATTERNS:
            found = conforms(matrix, int(taps), most, of)
            assert found == by_loops(matrix, int(taps), most, of)
            seen.add(found)
    assert seen == {True, False}


def test_a_rest_may_have_as_many_as_a_whole_group() -> None:
    matrix = f32([1, 1, 0, 0, 1, 1]).reshape(1, 6, 1)
    assert conforms(matrix, 1, 2, 4)
    assert not conforms(f32([1, 1, 0, 0, 1, 1, 1]).reshape(1, 7, 1), 1, 2, 4)


def test_groups_of_channels_are_counted_for_each_tap() -> None:
    """Two taps of four channels: in a row they would conform, by channels they do not."""
    by_tap = f32([[1, 0], [1, 0], [1, 0], [0, 0]]).reshape(1, 8, 1)
    assert conforms(by_tap, 1, 2, 4)
    assert not conforms(by_tap, 2, 2, 4)


RNG = np.random.default_rng(1)
KERNEL = f32(RNG.standard_normal((8, 8, 3, 3)))
MATRIX = KERNEL[:, :, 0, 0]


def halved(weight: Array, axis: int) -> Array:
    """Zeros instead of the last two of each four along an axis."""
    kept = f32(np.arange(weight.shape[axis]) % 4 < 2)
    return weight * kept.reshape([-1 if place == axis else 1 for place in range(weight.ndim)])


@pytest.mark.parametrize(
    ("node", "shape", "weight", "axis"),
    [
        ("Conv<pads=[1,1,1,1]>", "2,8,6,6", KERNEL, 1),
        ("Conv<pads=[1,1,1,1], group=2>", "2,8,6,6", KERNEL[:, :4], 1),
        ("ConvTranspose<pads=[1,1,1,1]>", "2,8,6,6", KERNEL, 0),
        ("MatMul", "2,8", MATRIX, 0),
        ("Gemm", "2,8", MATRIX, 0),
        ("Gemm<transB=1>", "2,8", MATRIX, 1),
    ],
)
def test_the_axis_is_the_one_that_the_reader_sums_over(
    node: str, shape: str, weight: Array, axis: int
) -> None:
    text = f"g (float[{shape}] x) => (float[{shape}] y) {{ y = {node}(x, w) }}"
    found = zeros_of(model_of(text, {"w": halved(weight, axis)}))["w"]
    assert found.channels is not None
    assert found.channels.patterns == {(2, 4), (4, 8)}
    assert (found.channels.inputs, found.channels.outputs) == (8, 8)
    assert (found.channels.empty_inputs, found.channels.empty_outputs) == (4, 0)
    assert found.zeros == weight.size // 2
    assert [op_type for _, op_type in found.readers] == [node.partition("<")[0]]
    across = zeros_of(model_of(text, {"w": halved(weight, 1 - axis)}))["w"].channels
    assert across is not None
    assert (2, 4) not in across.patterns
    assert (across.empty_inputs, across.empty_outputs) == (0, 4)


def test_integers_that_stand_for_zero_are_zeros() -> None:
    """Zero is the zero point, not the integer 0."""
    integers = RNG.integers(4, 100, (8, 6)).astype(np.uint8)
    integers[:, 2] = 3
    integers[[2, 3, 6, 7]] = 3
    integers[0, 0] = 0
    weights: dict[str, Weight] = {
        "w": integers,
        "scale": np.full(6, 0.5, np.float32),
        "zero": np.full(6, 3, np.uint8),
    }
    model = model_of(
        """g (float[2,8] x) => (float[2,6] y) {
            d = DequantizeLinear<axis=1>(w, scale, zero)  y = MatMul(x, d)
        }""",
        weights,
    )
    assert zeros_of(model).keys() == {"w"}
    found = zeros_of(model)["w"]
    assert found.zeros == 4 * 6 + 4
    assert found.readers[0][1] == "MatMul"
    assert found.channels is not None
    assert found.channels.patterns == {(2, 4), (4, 8)}
    assert (found.channels.empty_inputs, found.channels.empty_outputs) == (4, 1)


def test_a_shared_weight_is_counted_once_and_conforms_for_all() -> None:
    """Along its rows it conforms, along its columns it does not."""
    weight = halved(MATRIX, 0)
    text = """g (float[2,8] x) => (float[2,8] y) {{
        h = MatMul(x, w)  r = Relu(h)  y = Gemm<transB={turned}>(r, w)
    }}"""
    same = zeros_of(model_of(text.format(turned=0), {"w": weight}))["w"]
    other = zeros_of(model_of(text.format(turned=1), {"w": weight}))["w"]
    assert same.channels is not None
    assert other.channels is not None
    assert (2, 4) in same.channels.patterns
    assert other.channels.patterns == set()
    assert [op for _, op in same.readers] == ["MatMul", "Gemm"]
    assert (same.numbers, same.macs) == (64, 2 * 2 * 64)


def test_biases_and_recurrent_weights_have_zeros_only() -> None:
    model = model_of(
        """g (float[5,2,4] x) => (float[5,1,2,6] y) {
            y = LSTM<hidden_size=6>(x, w, r, b)
        }""",
        {"w": (1, 24, 4), "r": np.zeros((1, 24, 6), np.float32), "b": (1, 48)},
    )
    found = zeros_of(model)
    assert {name: (one.share, one.channels) for name, one in found.items()} == {
        "w": (0.0, None),
        "r": (1.0, None),
        "b": (0.0, None),
    }
