"""Sparsify by magnitude: exactly as many zeros as asked, where they belong, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import onnxprune as op
from onnxprune.cost.sparsity import weight_zeros
from onnxprune.coupling.analysis import analyse
from onnxprune.errors import UsageError
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes import Sparsify
from onnxprune.pipelines.presets import pruning
from onnxprune.pipelines.result import Result
from onnxprune.verify.sessions import session_of
from tests.passes.samples import RNG
from tests.passes.sparsify.networks import (
    NET,
    PRODUCTS,
    SIZES,
    WEIGHTS,
    Array,
    assert_others_untouched,
    rows_of,
    zeros,
)
from tests.texts import Weight, assert_valid, f32, model_of, replace


def sparsify(text: str, weights: Mapping[str, Weight], **options: Any) -> Result:
    """By the pass alone."""
    settings = {name: options.pop(name) for name in ("opset", "scale") if name in options}
    result = op.Pipeline([Sparsify(**options)]).run(model_of(text, weights, **settings))
    assert_valid(result.model)
    return result


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 0.999])
@pytest.mark.parametrize("scope", ["uniform", "global"])
def test_exactly_so_many_zeros(sparsity: float, scope: str) -> None:
    result = sparsify(NET, WEIGHTS, sparsity=sparsity, scope=scope)
    if scope == "uniform":
        for name, size in SIZES.items():
            assert zeros(result, name) == round(sparsity * size)
    else:
        assert sum(zeros(result, name) for name in SIZES) == round(sparsity * 2072)
    assert_others_untouched(result, SIZES)
    assert result.verify().passed
    (removal,) = result.removals
    assert removal.sparsified is not None
    assert removal.sparsified.zeros == sum(zeros(result, name) for name in SIZES)
    assert removal.sparsified.total == 2072


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("size", [5, 15, 25, 35, 45])
def test_halves_are_rounded_as_the_share_itself(share: float, size: int) -> None:
    """1 - (1 - 0.1) is less than 0.1: a tenth of 15 would lose its half."""
    weights: dict[str, Weight] = {"w": (size, 5), "v": (5, size)}
    text = f"g (float[n,{size}] x) => (float[n,{size}] y) {{ a = MatMul(x, w)  y = MatMul(a, v) }}"
    for scope, total in (("uniform", 5 * size), ("global", 10 * size)):
        result = sparsify(text, weights, sparsity=share, scope=scope)
        found = zeros(result, "w") + (zeros(result, "v") if scope == "global" else 0)
        assert found == round(share * total)


def test_the_least_go() -> None:
    result = sparsify(NET, WEIGHTS, sparsity=0.6)
    for name in SIZES:
        old, new = (m.constants[name].numpy() for m in (result.original, result.model))
        assert np.abs(old[new == 0]).max() < np.abs(old[new != 0]).min()
    result = sparsify(NET, WEIGHTS, sparsity=0.6, scope="global")
    olds, news = (
        np.concatenate([m.constants[name].numpy().ravel() for name in SIZES])
        for m in (result.original, result.model)
    )
    assert np.abs(olds[news == 0]).max() < np.abs(olds[news != 0]).min()


def test_of_equals_the_first_go() -> None:
    text = "g (float[n,4] x) => (float[n,4] y) { a = MatMul(x, w)  y = MatMul(a, v) }"
    ones = f32(np.ones((4, 4)))
    for scope, expected in (("uniform", (6, 6)), ("global", (12, 0))):
        result = sparsify(text, {"w": ones, "v": -ones}, sparsity=0.375, scope=scope)
        assert (zeros(result, "w"), zeros(result, "v")) == expected
        flat = result.model.constants["w"].numpy().ravel()
        assert (flat[: expected[0]] == 0).all()


def test_zeros_that_are_there_count() -> None:
    weight = RNG.standard_normal((20, 20))
    weight[:12] = 0
    text = "g (float[n,20] x) => (float[n,20] y) { y = MatMul(x, w) }"
    assert zeros(sparsify(text, {"w": f32(weight)}, sparsity=0.5), "w") == 240
    assert zeros(sparsify(text, {"w": f32(weight)}, sparsity=0.7), "w") == 280


def test_what_is_below_a_magnitude_goes() -> None:
    result = sparsify(NET, WEIGHTS, below=0.25)
    for name in SIZES:
        old, new = (m.constants[name].numpy() for m in (result.original, result.model))
        assert ((np.abs(old) < 0.25) == (new == 0)).all()
    assert_others_untouched(result, SIZES)
    assert zeros(sparsify(NET, WEIGHTS, below=1e-30), "l") == 0
    assert zeros(sparsify(NET, WEIGHTS, below=1e30), "l") == 1440


def test_a_bound_is_on_what_the_operator_multiplies_by() -> None:
    text = "g (float[3,8] x) => (float[3,8] y) { y = Gemm<alpha=-0.5>(x, w) }"
    result = sparsify(text, {"w": (8, 8)}, below=0.25)
    old, new = (m.constants["w"].numpy() for m in (result.original, result.model))
    assert ((np.abs(old) < 0.5) == (new == 0)).all()
    assert (old[new != 0] == new[new != 0]).all()


def assert_pattern(rows: Array, old: Array, stay: int, of: int) -> None:
    """By plain loops: each stretch of a row keeps its N largest, or all that are not zero."""
    for row, before in zip(rows, old, strict=True):
        for start in range(0, len(row), of):
            part, was = row[start : start + of], np.abs(before[start : start + of])
            left = sum(1 for element in part if element != 0)
            assert left == min(stay, sum(1 for element in was if element != 0))
            lost = [was[i] for i in range(of) if part[i] == 0]
            kept = [was[i] for i in range(of) if part[i] != 0]
            assert max(lost) <= min(kept)


@pytest.mark.parametrize("pattern", ["2:4", "1:4", "1:2", "4:8", "3:4"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_every_weight_conforms(name: str, pattern: str) -> None:
    text, weights, axis, groups = PRODUCTS[name]
    result = sparsify(text, weights, pattern=pattern)
    stay, of = map(int, pattern.split(":"))
    old, new = (rows_of(m.constants["w"].numpy(), axis, groups)
                for m in (result.original, result.model))  # fmt: skip
    assert_pattern(new, old, stay, of)
    assert (new == 0).sum() == new.size * (of - stay) // of
    assert_others_untouched(result, {"w": None})
    assert result.verify().passed
    analysis = analyse(canonicalise(result.model))
    (counted,) = [z for z in weight_zeros(analysis) if z.name == "w"]
    assert counted.channels is not None
    if pattern != "3:4":
        assert (stay, of) in counted.channels.patterns


def test_layers_that_read_other_numbers_of_channels_stay() -> None:
    result = sparsify(NET, WEIGHTS, pattern="2:4")
    assert [zeros(result, name) for name in SIZES] == [0, 720, 100]
    (refusal,) = [r for r in result.refused if "multiple" in r.reason]
    assert refusal.reason == "the channels that it sums over are no multiple of 4"
    assert refusal.parameters == 432
    assert_others_untouched(result, {"l": None, "h": None})
    result = sparsify(NET, WEIGHTS, pattern="1:3")
    assert [zeros(result, name) for name in SIZES] == [288, 0, 0]


def test_depthwise_and_recurrent_layers_have_no_pattern() -> None:
    text = """g (float[4,8,6] x) => (float[4,8,4] y, float[4,1,8,3] h) {
        y = Conv<group=8>(x, d)  h = GRU<hidden_size=3>(x, w, r)
    }"""
    weights: dict[str, Weight] = {"d": (8, 1, 3), "w": (1, 9, 6), "r": (1, 9, 3)}
    result = sparsify(text, weights, pattern="2:4")
    assert not result.removals[0].sparsified
    assert result.reports[0].did == ["found no weight that may become zero"]
    assert {r.reason for r in result.refused} == {
        "the channels that it sums over are no multiple of 4",
        "a pattern 2:4 is for matrix products and convolutions",
    }
    plain = sparsify(text, weights, sparsity=0.5)
    assert [zeros(plain, name) for name in weights] == [12, 27, 14]
    assert plain.verify().passed


@pytest.mark.parametrize("options", [{"pattern": "2:4"}, {"sparsity": 0.5}])
def test_weights_that_nodes_share(options: dict[str, Any]) -> None:
    text = "g (float[n,16] x) => (float[n,16] y) { a = MatMul(x, w)  b = Relu(a)  y = Gemm(b, w) }"
    result = sparsify(text, {"w": (16, 16)}, **options)
    assert zeros(result, "w") == 128
    assert result.verify().passed
    if "pattern" in options:
        old, new = (m.constants["w"].numpy().T for m in (result.original, result.model))
        assert_pattern(new, old, 2, 4)


def test_nodes_that_want_a_pattern_along_different_axes() -> None:
    text = """g (float[n,16] x) => (float[n,16] y) {
        a = Gemm(x, w)  b = Relu(a)  y = Gemm<transB=1>(b, w)
    }"""
    result = sparsify(text, {"w": (16, 16)}, pattern="2:4")
    assert [r.reason for r in result.refused] == [
        "what reads it needs the pattern 2:4 along different axes"
    ]
    assert zeros(sparsify(text, {"w": (16, 16)}, sparsity=0.5), "w") == 128


@pytest.mark.parametrize("options", [{"pattern": "2:4"}, {"sparsity": 0.5}, {"below": 1.0}])
@pytest.mark.parametrize("zero", [False, True])
def test_integers_become_what_stands_for_zero(options: dict[str, Any], zero: bool) -> None:
    """By channel, with zero points: what stays is the same integers, and so are the scales."""
    weights: dict[str, Weight] = {
        "w": RNG.integers(-128, 128, (12, 16)).astype(np.int8),
        "s": f32(RNG.random(12) * 0.05 + 0.001),
        "z": RNG.integers(-20, 20, 12).astype(np.int8) * zero,
    }
    text = """g (float[n,16] x) => (float[n,12] y) {
        d = DequantizeLinear<axis=0>(w, s, z)  y = Gemm<transB=1>(x, d)
    }"""
    result = sparsify(text, weights, **options)
    assert result.verify().passed
    old, new = (m.constants["w"].numpy().astype(int) for m in (result.original, result.model))
    points = np.asarray(weights["z"]).astype(int)[:, None]
    numbers = (old - points) * np.asarray(weights["s"])[:, None]
    gone = new == points
    assert ((old == new) | gone).all()
    if "pattern" in options:
        assert_pattern(np.where(gone, 0, numbers), numbers, 2, 4)
    elif "sparsity" in options:
        assert gone.sum() == 96
        assert np.abs(numbers[gone]).max() <= np.abs(numbers[~gone]).min()
    else:
        assert (gone == (np.abs(numbers) < 1.0)).all()
    for name in ("s", "z"):
        assert (result.model.constants[name].numpy() == np.asarray(weights[name])).all()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("options", [{"pattern": "2:4"}, {"sparsity": 0.5}, {"below": 0.4}])
def test_other_types_stay_and_lose_as_much(dtype: Any, options: dict[str, Any]) -> None:
    name = {np.float16: "float16", np.float64: "double"}.get(dtype, "bfloat16")
    text = f"g ({name}[n,16] x) => ({name}[n,8] y) {{ y = Gemm<alpha=1e-6>(x, w) }}"
    weight = (RNG.standard_normal((16, 8)) * 0.5).astype(dtype)
    if "below" in options:
        options = {"below": 4e-7}
    result = sparsify(text, {"w": weight}, **options)
    new = result.model.constants["w"].numpy()
    assert new.dtype == dtype
    assert ((new == weight) | (new == 0)).all()
    if "pattern" in options:
        assert_pattern(new.T.astype(float), weight.T.astype(float), 2, 4)
    elif "sparsity" in options:
        assert (new == 0).sum() == 64
    else:
        assert 0 < (new == 0).sum() < 128


def test_what_is_ignored_stays() -> None:
    result = sparsify(NET, WEIGHTS, sparsity=0.5, ignore=("Gemm",))
    assert [zeros(result, name) for name in SIZES] == [216, 720, 0]
    assert_others_untouched(result, {"k": None, "l": None})
    assert "ignored as asked" in {r.reason for r in result.refused}


def test_weights_in_bodies() -> None:
    text = """g (bool c, float[2,8] x) => (float[2,8] y) {
        h = MatMul(x, u)
        y = If(c) <then_branch = t () => (float[2,8] p) { p = MatMul(h, w) },
                   else_branch = e () => (float[2,8] q) { n = Neg(h)  q = Gemm(n, v) }>
    }"""
    weights: dict[str, Weight] = dict.fromkeys("uwv", (8, 8))
    for options in ({"sparsity": 0.5}, {"pattern": "2:4"}):
        result = sparsify(text, weights, **options)
        assert [zeros(result, name) for name in weights] == [32, 32, 32]
        assert result.verify().passed


def test_a_model_without_products() -> None:
    text = "g (float[n,8] x) => (float[n,8] y) { a = Add(x, b)  y = Relu(a) }"
    result = sparsify(text, {"b": (8,)}, sparsity=0.5)
    assert not result.is_pruned
    assert not result.reports[0].modified
    assert result.reports[0].did == ["found no weight that may become zero"]
    assert result.verify().passed


def test_nothing_is_asked_for() -> None:
    result = sparsify(NET, WEIGHTS, sparsity=0)
    assert result.verify().passed
    assert_others_untouched(result, {})


def test_it_is_the_same_each_time() -> None:
    one, two = (sparsify(NET, WEIGHTS, sparsity=0.5, scope="global") for _ in range(2))
    assert one.model.to_bytes() == two.model.to_bytes()


def test_its_text_makes_the_same_pass() -> None:
    pipeline = op.Pipeline("sparsify{pattern=2:4,ignore=Gemm},store-sparsely")
    assert pipeline.passes[0] == Sparsify(pattern="2:4", ignore=("Gemm",))
    assert str(pipeline) == "sparsify{pattern=2:4,ignore=Gemm},store-sparsely"
    made = Sparsify(sparsity=0.7, scope="global", method="wanda", schedule="cubic", way=0.5)
    assert op.Pipeline(str(op.Pipeline([made]))).passes == [made]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "it must be said once how many weights become zero"),
    ({"sparsity": 0.5, "pattern": "2:4"}, "it must be said once"),
    ({"sparsity": 1.2}, "the share of weights to make zero is 1.2"),
    ({"sparsity": 1.0}, "the share of weights to make zero is 1.0"),
    ({"sparsity": -0.1}, "the share of weights to make zero is -0.1"),
    ({"sparsity": float("nan")}, "the share of weights to make zero is nan"),
    ({"pattern": "2:0"}, "'2:0' is no pattern"),
    ({"pattern": "5:4"}, "'5:4' is no pattern"),
    ({"below": 0.0}, "the magnitude is 0.0"),
    ({"below": float("inf")}, "the magnitude is inf"),
    ({"sparsity": 0.5, "scope": "globl"}, "there is no scope for sparsity 'globl'"),
    ({"pattern": "2:4", "scope": "global"}, "a global scope is for --sparsity"),
    ({"sparsity": 0.5, "method": "wnda"}, "there is no method 'wnda'"),
    ({"below": 0.1, "method": "wanda"}, "wanda knows no magnitude"),
    ({"sparsity": 0.5, "schedule": "cube"}, "there is no schedule 'cube'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sparsify(**options)


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
def test_methods_that_need_data(method: str) -> None:
    with pytest.raises(UsageError, match="looks at what layers read"):
        sparsify(NET, WEIGHTS, sparsity=0.5, method=method)


def test_channels_that_died_go_in_the_same_pipeline() -> None:
    """A third of the channels is weak, in what makes them or in what reads them."""
    weights = {n: RNG.standard_normal(w).astype(np.float32) for n, w in
               {"a": (12, 30), "u": (30, 24), "b": (24, 5)}.items()}  # fmt: skip
    weights["a"][:, ::3] *= 1e-3
    weights["b"][1::3] *= 1e-3
    biases = {"p": f32(RNG.standard_normal(30)), "q": f32(RNG.standard_normal(24))}
    text = """g (float[n,12] x) => (float[n,5] y) {
        h = Gemm(x, a, p)  i = Relu(h)  j = Gemm(i, u, q)  k = Relu(j)  y = MatMul(k, b)
    }"""
    model = model_of(text, {**weights, **biases})
    result = pruning(sparsify={"sparsity": 0.35}, round_to=1).run(model)
    assert result.verify().passed
    new = result.model.constants
    assert new["a"].shape[1] <= 20
    assert new["u"].shape[1] <= 16
    assert new["u"].shape == (new["a"].shape[1], new["b"].shape[0])
    alone = pruning(sparsify={"sparsity": 0.35}, round_to=1, ignore=("*",)).run(model)
    assert alone.model.parameters == model.parameters
    # What is left computes the same as with its zeros in place.
    middle = next(r.sparsified.model for r in result.removals if r.sparsified)
    feed = {"x": f32(RNG.standard_normal((7, 12)))}
    with session_of(middle) as one, session_of(result.model) as two:
        np.testing.assert_allclose(one.run(feed)["y"], two.run(feed)["y"], rtol=1e-4, atol=1e-5)


def test_at_nine_tenths_channels_die_and_the_proof_passes() -> None:
    text = """g (float[n,6] x) => (float[n,4] y) {
        h = Gemm(x, a, p)  i = Relu(h)  j = Gemm(i, u, q)  k = Relu(j)  y = MatMul(k, b)
    }"""
    shapes: dict[str, Weight] = {"a": (6, 64), "p": (64,), "u": (64, 64), "q": (64,), "b": (64, 4)}
    model = model_of(text, shapes)
    for steps in (1, 3):
        result = pruning(sparsify={"sparsity": 0.9}, steps=steps, schedule="cubic").run(model)
        assert result.verify().passed
        assert result.model.constants["u"].size < 0.7 * 4096
        last = [r.sparsified for r in result.removals if r.sparsified][-1]
        assert last.zeros == sum(round(0.9 * prod(s)) for s in ((6, 64), (64, 64), (64, 4)))


def test_a_pattern_keeps_its_channels() -> None:
    """Their absence would shift what lies in a row."""
    model = model_of(NET, WEIGHTS)
    old = model.constants["l"].numpy().copy()
    old[:, 0] = old[5] = 0
    replace(model, "l", old)
    result = pruning(sparsify={"pattern": "2:4"}).run(model)
    assert result.model.constants["l"].shape == (20, 8, 3, 3)
    assert result.verify().passed
