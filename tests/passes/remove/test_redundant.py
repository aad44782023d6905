"""Lossless: what is planted goes, and nothing else; outputs stay what they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import onnxprune as op
from onnxprune.passes import FoldConstants, RemoveRedundant
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.result import Result
from onnxprune.verify.sessions import session_of
from tests.passes.samples import RNG
from tests.texts import assert_valid, f32, model_of

Array = npt.NDArray[np.float32]


def drawn(*shape: int) -> Array:
    return f32(RNG.standard_normal(shape))


def lossless(text: str, weights: dict[str, Array], **options: Any) -> Result:
    """The result, with outputs that deviate by no more than 1e-5 of their range."""
    model = model_of(text, dict(weights))
    result = op.Pipeline([FoldConstants(), RemoveRedundant(**options)]).run(model)
    assert result.verify().passed
    assert_valid(result.model)
    for feeds in result.feeds(3):
        with session_of(result.original) as one, session_of(result.model) as two:
            before, after = one.run(feeds), two.run(feeds)
        for name, array in before.items():
            assert np.abs(array - after[name]).max() <= 1e-5 * np.ptp(array)
    return result


def kept(result: Result, name: str, axis: int) -> list[int]:
    """The indices of a weight's axis that stay."""
    whole = range(result.original.constants[name].shape[axis])
    found = result.plan.initializers.get(name, {}).get(axis, tuple(whole))
    assert isinstance(found, tuple)
    return list(found)


CHAIN = """g (float[n,3,6,5] x) => (float[n,4,6,5] y) {
    a = Conv<pads=[1,1,1,1]>(x, w1, b1)  r = Relu(a)  y = Conv%s(r, w2, b2)
}"""


def chain() -> dict[str, Array]:
    return {"w1": drawn(8, 3, 3, 3), "b1": drawn(8), "w2": drawn(4, 8, 1, 1), "b2": drawn(4)}


def test_nothing_goes_where_nothing_is_planted() -> None:
    result = lossless(CHAIN % "", chain())
    assert not result.is_pruned


def test_channels_that_nothing_makes_or_reads() -> None:
    weights = chain()
    weights["w1"][1] = weights["b1"][1] = 0
    weights["w2"][:, 4] = 0
    result = lossless(CHAIN % "", weights)
    assert kept(result, "w1", 0) == [0, 2, 3, 5, 6, 7]
    assert "1 constant, 1 read by nothing" in result.reports[1].did[0]


def test_constant_channels_go_into_biases() -> None:
    weights = chain()
    weights["w1"][2] = 0
    weights["b1"][2] = 1.5
    result = lossless(CHAIN % "", weights)
    assert kept(result, "w1", 0) == [0, 1, 3, 4, 5, 6, 7]
    bias = result.model.constants["b2"].numpy()
    assert np.allclose(bias, weights["b2"] + 1.5 * weights["w2"][:, 2, 0, 0])


def test_a_constant_stays_where_padding_shows_it() -> None:
    weights = chain() | {"w2": drawn(4, 8, 3, 3)}
    weights["w1"][2] = 0
    weights["b1"][2] = 1.5
    weights["w1"][5] = 0
    weights["b1"][5] = -1
    result = lossless(CHAIN % "<pads=[1,1,1,1]>", weights)
    assert kept(result, "w1", 0) == [0, 1, 2, 3, 4, 6, 7]  # a Relu makes 0 of -1


def test_duplicates_and_multiples_are_one() -> None:
    weights = chain() | {"w2": drawn(4, 8, 3, 3)}
    for name in ("w1", "b1"):
        weights[name][3] = weights[name][0]
        weights[name][6] = weights[name][1] * f32(2.7)
        weights[name][7] = -weights[name][1]
    result = lossless(CHAIN % "<pads=[1,1,1,1]>", weights)
    assert kept(result, "w1", 0) == [0, 1, 2, 4, 5, 7]  # Relu tells a sign apart


def test_what_a_relu_never_lets_through() -> None:
    """After a Relu all is positive, so negative weights and biases give nothing."""
    weights = {
        "w0": drawn(5, 3, 1, 1), "w1": drawn(6, 5, 3, 3), "b1": drawn(6), "w2": drawn(4, 6, 3, 3),
    }  # fmt: skip
    weights["w1"][4] = -np.abs(weights["w1"][4])
    weights["b1"][4] = -0.1
    result = lossless(
        "g (float[n,3,6,5] x) => (float[n,4,6,5] y) { h = Conv(x, w0) p = Relu(h) "
        "a = Conv<pads=[1,1,1,1]>(p, w1, b1) r = Relu(a) y = Conv<pads=[1,1,1,1]>(r, w2) }",
        weights,
    )
    assert kept(result, "w1", 0) == [0, 1, 2, 3, 5]


def test_bounds_of_bounded_activations() -> None:
    """What lies between 0 and 6 cannot make up for a bias of -100."""
    weights = {
        "w0": drawn(5, 3), "w1": drawn(5, 6), "b1": drawn(6), "w2": drawn(6, 4),
        "low": f32(0.0), "high": f32(6.0),
    }  # fmt: skip
    weights["b1"][2] = -100
    result = lossless(
        "g (float[n,3] x) => (float[n,4] y) { h = Gemm<transB=1>(x, w0) p = Clip(h, low, high) "
        "a = MatMul(p, w1) b = Add(a, b1) r = Relu(b) y = MatMul(r, w2) }",
        weights,
    )
    assert kept(result, "w1", 1) == [0, 1, 3, 4, 5]


def test_through_residuals_and_normalisations() -> None:
    """A channel of a stream goes if all that add to it give nothing there."""
    weights = {
        "w0": drawn(6, 3, 1, 1), "wa": drawn(5, 6, 3, 3), "wb": drawn(6, 5, 3, 3), "s": drawn(6),
        "b": drawn(6), "m": drawn(6), "v": np.abs(drawn(6)) + 1, "w1": drawn(4, 6, 1, 1),
    }  # fmt: skip
    weights["w0"][1] = weights["wb"][1] = 0
    weights["w0"][4] = weights["wb"][4] = 0
    weights["b"][1] = weights["m"][1] * weights["s"][1] / np.sqrt(weights["v"][1] + f32(1e-5))
    result = lossless(
        "g (float[n,3,6,5] x) => (float[n,4,6,5] y) { h = Conv(x, w0) "
        "a = Conv<pads=[1,1,1,1]>(h, wa) r = Relu(a) c = Conv<pads=[1,1,1,1]>(r, wb) "
        "t = BatchNormalization(c, s, b, m, v) "
        "z = Add(h, t) y = Conv(z, w1) }",
        weights,
    )
    gone = set(range(6)) - set(kept(result, "w0", 0))
    assert gone == {1, 4}


def test_before_concatenations_and_pools() -> None:
    weights = {
        "wa": drawn(5, 3, 1, 1), "wb": drawn(6, 3, 1, 1), "w1": drawn(4, 11, 1, 1),
    }  # fmt: skip
    weights["wa"][2] = weights["wb"][3] = 0
    weights["wb"][5] = weights["wb"][0]
    result = lossless(
        "g (float[n,3,6,6] x) => (float[n,4,3,3] y) { a = Conv(x, wa) b = Conv(x, wb) "
        "c = Concat<axis=1>(a, b) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c) "
        "y = Conv(p, w1) }",
        weights,
    )
    assert kept(result, "wa", 0) == [0, 1, 3, 4]
    assert kept(result, "wb", 0) == [0, 1, 2, 4]


def test_flattened_places_are_told_apart() -> None:
    weights = {"w1": drawn(5, 3, 1, 1), "w2": drawn(20, 4)}
    weights["w1"][3] = weights["w1"][1] * f32(-0.5)
    result = lossless(
        "g (float[n,3,2,2] x) => (float[n,4] y) { a = Conv(x, w1) f = Flatten(a) "
        "y = MatMul(f, w2) }",
        weights,
    )
    assert kept(result, "w1", 0) == [0, 1, 2, 4]


def test_what_loses_its_last_reader_goes_next() -> None:
    weights = {
        "w0": drawn(5, 3, 1, 1), "w1": drawn(6, 5, 1, 1), "w2": drawn(4, 6, 1, 1),
    }  # fmt: skip
    weights["w2"][:, 3] = 0
    weights["w1"][:, 2] = 0
    weights["w1"][3, 2] = 1
    result = lossless(
        "g (float[n,3,4,4] x) => (float[n,4,4,4] y) { a = Conv(x, w0) p = Relu(a) b = Conv(p, w1) "
        "q = Relu(b) y = Conv(q, w2) }",
        weights,
    )
    assert kept(result, "w1", 0) == [0, 1, 2, 4, 5]
    assert kept(result, "w0", 0) == [0, 1, 3, 4]
    assert len(result.removals) == 2


@pytest.mark.parametrize(
    "layer",
    [
        "n = LayerNormalization<axis=-1>(h, s, b)",
        "m = ReduceMean<axes=[1]>(h) n = Sub(h, m)",
        "n = Softmax<axis=1>(h)",
    ],
)
def test_what_looks_at_all_channels_keeps_them(layer: str) -> None:
    weights = {"w0": drawn(3, 6), "w1": drawn(6, 4)}
    weights["w0"][:, 2] = 0
    weights |= {"s": drawn(6), "b": drawn(6)} if "b)" in layer else {}
    text = f"g (float[n,3] x) => (float[n,4] y) {{ h = MatMul(x, w0) {layer} y = MatMul(n, w1) }}"
    assert not lossless(text, weights).is_pruned


def test_shared_weights_stay() -> None:
    weights = {"w0": drawn(5, 3, 1, 1), "w1": drawn(4, 5, 1, 1)}
    weights["w0"][2] = weights["w0"][1]
    result = lossless(
        "g (float[n,3,4,4] x, float[n,3,4,4] z) => (float[n,4,4,4] y) { a = Conv(x, w0) "
        "b = Conv(a, w1) c = Conv(z, w0) d = Conv(c, w1) y = Add(b, d) }",
        weights,
    )
    assert not result.is_pruned


def test_layers_without_biases_get_them() -> None:
    """A Conv takes a bias; behind a MatMul stands an Add."""
    weights = {
        "w0": drawn(5, 3, 1, 1), "b0": drawn(5), "w1": drawn(6, 5, 1, 1), "w2": drawn(6, 4),
    }  # fmt: skip
    weights["w0"][2] = 0
    weights["w1"][3] = 0
    weights["w1"][3, 2] = 1.0
    result = lossless(
        "g (float[n,3,4,4] x) => (float[n,4,4,4] y) { a = Conv(x, w0, b0) b = Conv(a, w1) "
        "t = Transpose<perm=[0,2,3,1]>(b) m = MatMul(t, w2) y = Transpose<perm=[0,3,1,2]>(m) }",
        weights,
    )
    assert kept(result, "w0", 0) == [0, 1, 3, 4]
    assert kept(result, "w1", 0) == [0, 1, 2, 4, 5]
    plan = op.Plan.from_json(result.plan.to_json())
    assert Comparison(result.original, result.model, {}, plan=plan).equivalence().passed


def test_grouped_and_depthwise_layers() -> None:
    weights = {
        "w0": drawn(8, 3, 1, 1), "wd": drawn(8, 1, 3, 3), "bd": drawn(8), "w1": drawn(4, 8, 1, 1),
    }  # fmt: skip
    for name in ("w0", "wd", "bd"):
        weights[name][5] = weights[name][2]
    weights["wd"][6] = 0
    result = lossless(
        "g (float[n,3,6,6] x) => (float[n,4,6,6] y) { a = Conv(x, w0) "
        "d = Conv<group=8, pads=[1,1,1,1]>(a, wd, bd) r = Relu(d) y = Conv(r, w1) }",
        weights,
    )
    assert kept(result, "w0", 0) == [0, 1, 2, 3, 4, 7]


def test_other_places_are_other_values() -> None:
    """A channel and its transpose are not the same; two channels and their transposes are."""
    weights = {"w0": drawn(5, 3, 1, 1), "w1": drawn(4, 10, 1, 1)}
    weights["w0"][3] = weights["w0"][1]
    result = lossless(
        "g (float[n,3,6,6] x) => (float[n,4,6,6] y) { a = Conv(x, w0) "
        "t = Transpose<perm=[0,1,3,2]>(a) c = Concat<axis=1>(a, t) y = Conv(c, w1) }",
        weights,
    )
    assert kept(result, "w0", 0) == [0, 1, 2, 4]


def test_odd_widths_can_be_avoided() -> None:
    weights = chain()
    weights["w2"][:, [1, 4, 5]] = 0
    assert kept(lossless(CHAIN % "", weights), "w1", 0) == [0, 2, 3, 6, 7]
    assert len(kept(lossless(CHAIN % "", weights, round_to=2), "w1", 0)) == 6
