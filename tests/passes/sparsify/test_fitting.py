"""Sparsify with data: zeros where data says, and what is left makes up for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import onnxprune as op
from onnxprune.data.batches import Batch
from onnxprune.passes import Sparsify
from onnxprune.passes.sparsify.methods import METHODS, Method
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
from tests.texts import Weight, assert_valid, f32, model_of


def batches(shape: tuple[int, ...], count: int = 6, size: int = 16) -> list[Batch]:
    """Samples of which each number knows of the others."""
    mix = RNG.standard_normal((shape[0], shape[0])) / np.sqrt(shape[0])
    sets = (RNG.standard_normal((size, *shape)) for _ in range(count))
    mixed = (np.moveaxis(np.tensordot(x, mix, ((1,), (0,))), -1, 1) for x in sets)
    return [Batch({"x": f32(x)}, None, size) for x in mixed]


def sparsify(text: str, weights: Mapping[str, Weight], data: list[Batch], **options: Any) -> Result:
    result = op.Pipeline([Sparsify(**options)]).run(model_of(text, weights), data=data)
    assert_valid(result.model)
    assert result.verify().passed
    return result


def deviation(result: Result, data: list[Batch]) -> float:
    """Squared deviation of the outputs, as a share, of all outputs together."""
    lost = whole = 0.0
    with session_of(result.original) as one, session_of(result.model) as two:
        for batch in data:
            before, after = one.run(batch.feeds), two.run(batch.feeds)
            lost += sum(float(np.square(before[n] - after[n]).sum()) for n in before)
            whole += sum(float(np.square(before[n]).sum()) for n in before)
    return lost / whole


def alone(result: Result, data: list[Batch], **options: Any) -> Result:
    """The same zeros or, where data chooses anew, as many by the same measure; nothing fitted."""
    options["method"] = "magnitude" if options.get("method") == "magnitude" else "wanda"
    return op.Pipeline([Sparsify(repair=False, **options)]).run(result.original, data=data)


LAYER = "g (float[n,24] x) => (float[n,20] y) { y = MatMul(x, w) }"
SMALL = "g (float[n,24] x) => (float[n,2] y) { y = MatMul(x, w) }"


def all_of(data: list[Batch]) -> Array:
    return np.concatenate([batch.feeds["x"] for batch in data]).astype(np.float64)


@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.7])
def test_wanda_takes_the_same_share_of_every_output(sparsity: float) -> None:
    data = batches((24,))
    result = sparsify(LAYER, {"w": (24, 20)}, data, sparsity=sparsity, method="wanda", repair=False)
    old, new = (m.constants["w"].numpy() for m in (result.original, result.model))
    scores = np.abs(old) * np.sqrt(np.square(all_of(data)).mean(axis=0))[:, None]
    count = round(sparsity * 480)
    each = [count // 20 + (output < count % 20) for output in range(20)]
    for output, gone in enumerate(each):
        order = np.argsort(scores[:, output], kind="stable")
        assert set(np.flatnonzero(new[:, output] == 0)) == {*order[:gone]}
    assert_others_untouched(result, {"w": None})


@pytest.mark.parametrize("options", [{"sparsity": 0.5}, {"sparsity": 0.75}, {"pattern": "2:4"}])
@pytest.mark.parametrize("method", METHODS)
def test_between_zeros_alone_and_the_best_there_is(method: str, options: dict[str, Any]) -> None:
    """The best with the same zeros is a least squares for each output."""
    data = batches((24,), 20, 64)
    result = sparsify(LAYER, {"w": (24, 20)}, data, method=method, **options)
    plain = alone(result, data, method=method, **options)
    x, new = all_of(data), result.model.constants["w"].numpy()
    y = x @ result.original.constants["w"].numpy()
    least = np.zeros(new.shape)
    for output in range(20):
        kept = new[:, output] != 0
        least[kept, output] = np.linalg.lstsq(x[:, kept], y[:, output])[0]
    best = np.square(y - x @ least).sum() / np.square(y).sum()
    assert best <= deviation(result, data) <= deviation(plain, data)
    assert zeros(result, "w") == zeros(plain, "w")


def test_one_weight_goes_as_the_closed_form_says() -> None:
    data = batches((24,), 20, 64)
    result = sparsify(SMALL, {"w": (24, 2)}, data, sparsity=1 / 48, method="sparsegpt")
    old, new = (m.constants["w"].numpy().astype(float) for m in (result.original, result.model))
    ((row, output),) = np.argwhere(new == 0)
    x = all_of(data)
    second = x.T @ x / len(x)
    close: list[bool] = []
    for damping in (0.01, 0.1):
        damped = second + damping * np.diag(second).mean() * np.eye(24)
        losses = np.square(old) / np.diag(np.linalg.inv(damped))[:, None]
        assert losses.argmin() == row * 2 + output
        inverse = np.linalg.inv(damped)
        expected = old.copy()
        expected[:, output] -= old[row, output] / inverse[row, row] * inverse[:, row]
        close.append(np.allclose(new, expected, atol=2e-3))
    assert any(close)


def conforming(weight: Array, axis: int, groups: int, stay: int, of: int) -> bool:
    """By plain loops."""
    for row in rows_of(weight, axis, groups):
        for start in range(0, len(row), of):
            if sum(1 for element in row[start : start + of] if element != 0) > stay:
                return False
    return True


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_patterns_hold_for_every_product(name: str, method: str) -> None:
    text, weights, axis, groups = PRODUCTS[name]
    shapes = {"volume": (8, 3, 3, 3), "line": (16, 9), "transposed groups": (16, 5)}
    shapes |= {"transposed": (16, 5, 5), "conv": (16, 7, 7), "groups": (16, 7, 7)}
    data = batches(shapes.get(name, (16,)), size=24)
    if name == "both turned and scaled":
        data = [Batch({"x": f32(b.feeds["x"][:5].T)}, None, 1) for b in data * 8]
    result = sparsify(text, weights, data, pattern="2:4", method=method)
    plain = alone(result, data, method=method, pattern="2:4")
    assert conforming(result.model.constants["w"].numpy(), axis, groups, 2, 4)
    assert zeros(result, "w") == zeros(plain, "w")
    assert deviation(result, data) <= deviation(plain, data)


@pytest.mark.parametrize("scope", ["uniform", "global"])
@pytest.mark.parametrize("method", METHODS)
def test_exactly_so_many_zeros_and_less_is_lost(method: str, scope: str) -> None:
    data, fresh = batches((3, 9, 9), 8, 24), batches((3, 9, 9))
    result = sparsify(NET, WEIGHTS, data, sparsity=0.6, scope=scope, method=method)
    if scope == "uniform":
        assert [zeros(result, name) for name in SIZES] == [round(0.6 * s) for s in SIZES.values()]
    else:
        assert sum(zeros(result, name) for name in SIZES) == round(0.6 * 2072)
    sparse = result.removals[0].sparsified
    assert sparse is not None
    assert sparse.samples == 192
    assert sparse.deviation == pytest.approx(deviation(result, data), rel=1e-3)
    assert sparse.zeros == sum(zeros(result, name) for name in SIZES)
    plain = alone(result, data, sparsity=0.6, scope=scope, method=method)
    assert deviation(result, data) < 0.5 * deviation(plain, data)
    assert deviation(result, fresh) < deviation(plain, fresh)


def test_without_method_data_makes_it_sparsegpt() -> None:
    data = batches((24,))
    one, two = (
        sparsify(LAYER, {"w": (24, 20)}, data, sparsity=0.5, method=method)
        for method in ("auto", "sparsegpt")
    )
    assert one.model.to_bytes() == two.model.to_bytes()
    assert one.reports[0].did[0] == "50.0% of 480 weights in 1 layers are zero, by sparsegpt"


def test_magnitude_without_repair_heeds_no_data() -> None:
    data = batches((24,))
    options = {"sparsity": 0.5, "method": "magnitude"}
    heeding = sparsify(LAYER, {"w": (24, 20)}, data, repair=False, **options)
    without = op.Pipeline([Sparsify(sparsity=0.5)]).run(model_of(LAYER, {"w": (24, 20)}))
    assert heeding.model.to_bytes() == without.model.to_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_ignored_stays_and_is_not_fitted(method: str) -> None:
    data = batches((3, 9, 9))
    result = sparsify(
        NET, WEIGHTS, data, sparsity=0.5, method=method, ignore=("Gemm", "BatchNormalization")
    )
    assert [zeros(result, name) for name in SIZES] == [216, 720, 0]
    for name in ("h", "hb", "s", "t", "m", "v"):
        old, new = (m.constants[name].numpy() for m in (result.original, result.model))
        assert (old == new).all()
        assert name not in result.plan.repaired


def test_layers_without_a_pattern_make_up_for_the_others() -> None:
    data = batches((3, 9, 9))
    result = sparsify(NET, WEIGHTS, data, pattern="2:4")
    assert zeros(result, "k") == 0
    assert conforming(result.model.constants["l"].numpy(), 1, 1, 2, 4)
    assert conforming(result.model.constants["h"].numpy(), 1, 1, 2, 4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [{"sparsity": 0.5}, {"pattern": "2:4"}])
def test_weights_that_nodes_share(method: str, options: dict[str, Any]) -> None:
    text = "g (float[n,16] x) => (float[n,16] y) { a = MatMul(x, w)  b = Relu(a)  y = Gemm(b, w) }"
    data = batches((16,), 20, 32)
    result = sparsify(text, {"w": (16, 16)}, data, method=method, **options)
    plain = alone(result, data, method=method, **options)
    assert zeros(result, "w") == 128
    assert deviation(result, data) < deviation(plain, data)
    if "pattern" in options:
        assert conforming(result.model.constants["w"].numpy(), 0, 1, 2, 4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [{"sparsity": 0.5}, {"pattern": "2:4"}])
def test_integers_are_fitted_and_stay_integers(method: str, options: dict[str, Any]) -> None:
    points = RNG.integers(-20, 20, 12).astype(np.int8)
    weights: dict[str, Weight] = {
        "w": RNG.integers(-60, 60, (12, 16)).astype(np.int8),
        "s": f32(RNG.random(12) * 0.05 + 0.01),
        "z": points,
    }
    text = """g (float[n,16] x) => (float[n,12] y) {
        d = DequantizeLinear<axis=0>(w, s, z)  y = Gemm<transB=1>(x, d)
    }"""
    data = batches((16,), 20, 32)
    result = sparsify(text, weights, data, method=method, **options)
    plain = alone(result, data, method=method, **options)
    new = result.model.constants["w"].numpy()
    assert new.dtype == np.int8
    gone = new == points[:, None]
    assert gone.sum() >= 96  # what is fitted may be rounded to zero
    assert deviation(result, data) < deviation(plain, data)
    assert result.plan.repaired.keys() == {"w"}
    if "pattern" in options:
        assert conforming(~gone, 1, 1, 2, 4)
    for name in ("s", "z"):
        assert (result.model.constants[name].numpy() == np.asarray(weights[name])).all()


def test_half_precision_stays_and_conforms() -> None:
    text = "g (float16[n,16] x) => (float16[n,8] y) { y = Gemm<transB=1>(x, w, b) }"
    weights: dict[str, Weight] = {
        "w": RNG.standard_normal((8, 16)).astype(np.float16),
        "b": RNG.standard_normal(8).astype(np.float16),
    }
    sets = batches((16,), 20, 32)
    data = [Batch({"x": b.feeds["x"].astype(np.float16)}, None, 32) for b in sets]
    for method in METHODS:
        result = sparsify(text, weights, data, pattern="2:4", method=method)
        assert result.model.constants["w"].dtype == np.float16
        assert conforming(result.model.constants["w"].numpy(), 1, 1, 2, 4)


def test_recurrent_layers_lose_by_magnitude() -> None:
    text = """g (float[4,n,6] x) => (float[n,5] y) {
        a, h = GRU<hidden_size=8>(x, w, r)  b = Squeeze(h, zero)  y = MatMul(b, m)
    }"""
    weights: dict[str, Weight] = {"w": (1, 24, 6), "r": (1, 24, 8), "m": (8, 5)}
    weights["zero"] = np.zeros(1, np.int64)
    data = [Batch({"x": f32(RNG.standard_normal((4, 16, 6)))}, None, 16) for _ in range(6)]
    result = sparsify(text, weights, data, sparsity=0.5)
    for name, size in (("w", 144), ("r", 192), ("m", 40)):
        assert zeros(result, name) == size // 2
    for name in ("w", "r"):
        old, new = (m.constants[name].numpy() for m in (result.original, result.model))
        assert (old[new != 0] == new[new != 0]).all()
        assert np.abs(old[new == 0]).max() < np.abs(old[new != 0]).min()


@pytest.mark.parametrize("options", [{"sparsity": 0.5}, {"pattern": "2:4"}])
def test_bodies_lose_by_magnitude(options: dict[str, Any]) -> None:
    text = """g (bool c, float[n,8] x) => (float[n,8] y) {
        h = MatMul(x, u)
        y = If(c) <then_branch = t () => (float[n,8] p) { p = MatMul(h, w) },
                   else_branch = e () => (float[n,8] q) { m = Neg(h)  q = Gemm(m, v) }>
    }"""
    data = [
        Batch({"x": f32(RNG.standard_normal((16, 8))), "c": np.array(turn % 2 == 0)}, None, 16)
        for turn in range(6)
    ]
    model = model_of(text, dict.fromkeys("uwv", (8, 8)))
    result = op.Pipeline([Sparsify(**options)]).run(model, data=data)
    assert result.verify().passed
    assert [zeros(result, name) for name in "uwv"] == [32, 32, 32]
    for name in "wv":
        old, new = (m.constants[name].numpy() for m in (result.original, result.model))
        assert (old[new != 0] == new[new != 0]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, np.pi, np.inf, 1e30])
def test_inputs_that_tell_nothing(method: Method, value: float) -> None:
    """Constant, zero, infinite, or with squares beyond all numbers."""
    data = [Batch({"x": f32(np.full((8, 24), value))}, None, 8) for _ in range(4)]
    text = "g (float[n,24] x) => (float[n,20] y) { y = Gemm(x, w, b) }"
    model = model_of(text, {"w": (24, 20), "b": (20,)})
    for options in ({"sparsity": 0.5}, {"pattern": "2:4"}):
        with np.errstate(all="ignore"):
            result = op.Pipeline([Sparsify(**options, method=method)]).run(model, data=data)
        assert zeros(result, "w") == 240
        for name in "wb":
            assert np.isfinite(result.model.constants[name].numpy()).all()
        assert value > 10 or result.verify().passed


@pytest.mark.parametrize("method", METHODS)
def test_fewer_samples_than_weights(method: str) -> None:
    data = batches((24,), 1, 2)
    result = sparsify(LAYER, {"w": (24, 20)}, data, sparsity=0.5, method=method)
    assert zeros(result, "w") == 240
    assert np.abs(result.model.constants["w"].numpy()).max() < 20


def test_several_inputs_and_outputs() -> None:
    text = """g (float[n,16] x, float[n,4,12] z) => (float[n,8] y, float[n,4,8] q) {
        a = MatMul(x, u)  b = Relu(a)  c = MatMul(z, v)
        y = Gemm(b, w)  q = Add(c, e)
    }"""
    weights: dict[str, Weight] = {"u": (16, 16), "v": (12, 8), "w": (16, 8), "e": (8,)}
    data = [
        Batch(
            {"x": f32(RNG.standard_normal((32, 16))), "z": f32(RNG.random((32, 4, 12)))}, None, 32
        )
        for _ in range(8)
    ]
    result = sparsify(text, weights, data, sparsity=0.5, scope="global")
    assert sum(zeros(result, name) for name in "uvw") == (256 + 96 + 128) // 2
    plain = op.Pipeline([Sparsify(sparsity=0.5, scope="global")]).run(result.original)
    assert deviation(result, data) < deviation(plain, data)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_the_same_each_time(method: str) -> None:
    data = batches((3, 9, 9), 3)
    one, two = (
        sparsify(NET, WEIGHTS, data, sparsity=0.6, scope="global", method=method) for _ in range(2)
    )
    assert one.model.to_bytes() == two.model.to_bytes()


@pytest.mark.parametrize("sparsify", [{"sparsity": 0.7}, {"pattern": "1:4"}])
def test_steps_end_at_what_was_asked_for(sparsify: dict[str, Any]) -> None:
    data = batches((24,), 20, 32)
    model = model_of(LAYER, {"w": (24, 20)})
    result = pruning(steps=4, schedule="cubic", sparsify=sparsify).run(model, data=data)
    assert result.verify().passed
    counts = [
        int((r.sparsified.model.constants["w"].numpy() == 0).sum())
        for r in result.removals
        if r.sparsified
    ]
    assert len(counts) == 4
    assert counts == sorted(counts)
    assert counts[-1] == zeros(result, "w") == (336 if "sparsity" in sparsify else 360)


def test_nothing_is_asked_for_and_nothing_is_lost() -> None:
    data = batches((3, 9, 9))
    result = sparsify(NET, WEIGHTS, data, sparsity=0.0)
    assert sum(zeros(result, name) for name in SIZES) == 0
    assert deviation(result, data) < 1e-9


def test_channels_and_zeros_by_steps_with_repair_between() -> None:
    text = """g (float[n,24] x) => (float[n,6] y) {
        h = Gemm(x, a, p)  i = Relu(h)  j = Gemm(i, u, q)  k = Relu(j)  y = Gemm(k, b, r)
    }"""
    weights: dict[str, Weight] = {"a": (24, 32), "p": (32,), "u": (32, 32), "q": (32,)}
    weights |= {"b": (32, 6), "r": (6,)}
    data = batches((24,), 20, 32)
    model = model_of(text, weights)
    options: dict[str, Any] = {"ratio": 0.25, "round_to": 1, "sparsify": {"sparsity": 0.5}}
    result = pruning(steps=2, schedule="linear", **options).run(model, data=data)
    assert result.verify().passed
    last = [r.sparsified for r in result.removals if r.sparsified][-1]
    assert last.model.constants["u"].shape == (24, 24)
    assert last.zeros == 24 * 24 // 2 * 2 + 24 * 6 // 2
    plain = pruning(steps=2, repair=False, **options).run(model)
    assert deviation(result, data) < 0.5 * deviation(plain, data)


def test_repair_leaves_zeros_that_were_made() -> None:
    """Weights that are fitted after them would fill them."""
    text = """g (float[n,24] x) => (float[n,6] y) {
        h = Gemm(x, a, p)  i = Relu(h)  y = Gemm(i, b, r)
    }"""
    weights: dict[str, Weight] = {"a": (24, 32), "p": (32,), "b": (32, 6), "r": (6,)}
    data = batches((24,), 8, 32)
    pipeline = op.Pipeline("remove-channels{ratio=0.5,round_to=1},sparsify{sparsity=0.5},repair")
    result = pipeline.run(model_of(text, weights), data=data)
    assert [zeros(result, name) for name in "ab"] == [192, 48]
    assert result.verify().passed
