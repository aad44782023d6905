"""Repair: what removed channels told is told by those that stay, as far as these know it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

import onnxprune as op
from onnxprune.data.batches import Batch
from onnxprune.errors import PlanError
from onnxprune.ir.probe import cut_at
from onnxprune.ir.tensors import ArrayTensor
from onnxprune.passes.repair import gather, repair, rounds
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.presets import pruning
from onnxprune.verify.sessions import session_of
from tests.passes.samples import RNG, batches, deviation
from tests.texts import Weight, assert_valid, f32, model_of, proto_of

HALF: dict[str, Any] = {"ratio": 0.5, "round_to": 1}


def _mixed(wide: int, narrow: int, *rest: int) -> npt.NDArray[np.float32]:
    """Weights ``[wide, *rest]`` of which all rows are made of the `narrow` last ones, weakly."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((narrow, *rest))
    mix = rng.standard_normal((wide - narrow, narrow)) * 0.1
    return f32(np.concatenate([np.tensordot(mix, base, 1), base]))


LINEAR = """g (float[n,6] x) => (float[n,4] y) {
    a = Gemm<transB=1>(x, w1, b1)  y = Gemm<transB=1>(a, w2, b2)
}"""
LONGER = """g (float[n,6] x) => (float[n,4] y) {
    a = Gemm<transB=1>(x, w1, b1)  c = Gemm<transB=1>(a, w2, b2)
    d = Relu(c)  y = Gemm<transB=1>(d, w3%s)
}"""
CONV = """g (float[n,3,9,9] x) => (float[n,4,5,5] y) {
    a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1, b1)
    y = Conv<pads=[1,1,1,1]>(a, w2, b2)
}"""
TRANSPOSED = """g (float[n,3,5,5] x) => (float[n,4,10,10] y) {
    a = Conv<pads=[1,1,1,1]>(x, w1, b1)  y = ConvTranspose<strides=[2,2]>(a, w2, b2)
}"""
DEPTHWISE = """g (float[n,3,7,7] x) => (float[n,4,7,7] y) {
    a = Conv(x, w1, b1)  d = Conv<group=8, pads=[1,1,1,1]>(a, wd, bd)  y = Conv(d, w2, b2)
}"""
BIAS: dict[str, Weight] = {"b1": f32(np.full(8, 0.5)), "b2": (4,)}
NONE: dict[str, Weight] = {"b1": f32(np.zeros(8)), "b2": (4,)}
Case = tuple[str, dict[str, Weight], tuple[int, ...]]
EXACT: list[Case] = [
    (LINEAR, {**BIAS, "w1": _mixed(8, 4, 6), "w2": (4, 8)}, (6,)),
    (CONV, {**NONE, "w1": _mixed(8, 4, 3, 3, 3), "w2": (4, 8, 3, 3)}, (3, 9, 9)),
    (TRANSPOSED, {**NONE, "w1": _mixed(8, 4, 3, 3, 3), "w2": (8, 4, 2, 2)}, (3, 5, 5)),
]


@pytest.mark.parametrize(("text", "weights", "shape"), EXACT)
def test_what_the_others_tell_is_not_lost(
    text: str, weights: dict[str, Weight], shape: tuple[int, ...]
) -> None:
    """Removed channels are sums of those that stay; padding takes part exactly."""
    model, data, fresh = model_of(text, weights), batches(shape), batches(shape)
    plain = op.prune(model, data=data, repair=False, **HALF)
    result = op.prune(model, data=data, **HALF)
    assert deviation(plain, fresh) > 0.01
    assert deviation(result, fresh) < 1e-3 * deviation(plain, fresh)
    assert result.verify().passed
    assert_valid(result.model)
    (removal,) = result.removals
    assert removal.repaired is not None
    assert removal.repaired.after < removal.repaired.before
    assert {"w2", "b2"} <= removal.repaired.names


def test_errors_do_not_pile_up() -> None:
    """The last of some layers is fitted to what those before it make of repaired inputs."""
    layers = "  ".join(f"a{i} = Gemm(h{i}, w{i}, b{i})  h{i + 1} = Relu(a{i})" for i in range(6))
    text = f"g (float[n,16] h0) => (float[n,4] y) {{ {layers}  y = Gemm(h6, w6, b6) }}"
    weights: dict[str, Weight] = {"w6": (16, 4), "b6": (4,)}
    weights.update({f"w{i}": (16, 16) for i in range(6)})
    weights.update({f"b{i}": (16,) for i in range(6)})
    model = model_of(text, weights, scale=0.3)
    sets = [f32(RNG.standard_normal((32, 16))) for _ in range(24)]
    data = [Batch({"h0": x}, None, 32) for x in sets]
    plain = op.prune(model, 0.3, round_to=1, data=data[:16], repair=False)
    result = op.prune(model, 0.3, round_to=1, data=data[:16])
    assert deviation(result, data[16:]) < 0.5 * deviation(plain, data[16:])


def test_normalisations_and_biases_are_fitted() -> None:
    """Of a pruned residual stream, norms see other statistics; Add shifts what MatMul makes."""
    model = model_of(
        """g (float[n,5,6] x) => (float[n,5,4] y) {
            a = MatMul(x, w1)  h = Add(a, b1)  m = LayerNormalization(h, s, t)
            c = MatMul(m, w2)  y = Add(c, b2)
        }""",
        {"w1": (6, 24), "b1": (24,), "s": (24,), "t": (24,), "w2": (24, 4), "b2": (4,)},
    )
    data, fresh = batches((5, 6)), batches((5, 6))
    plain = op.prune(model, data=data, repair=False, **HALF)
    result = op.prune(model, data=data, **HALF)
    (removal,) = result.removals
    assert removal.repaired is not None
    assert {"s", "t", "w2", "b2"} <= removal.repaired.names
    assert deviation(result, fresh) < 0.5 * deviation(plain, fresh)
    assert result.verify().passed


def test_running_statistics_are_those_of_the_pruned_network() -> None:
    """So training goes on where inference is; the result is the same for both."""
    model = model_of(
        """g (float[n,3,7,7] x) => (float[n,4,5,5] y) {
            a = Conv(x, w1)  n = BatchNormalization(a, s, t, m, v)  r = Relu(n)
            c = Conv(r, w2)  z = BatchNormalization(c, s2, t2, m2, v2)  y = Neg(z)
        }""",
        {
            "w1": (8, 3, 3, 3), "w2": (4, 8, 1, 1), "m": (8,), "v": f32(np.ones(8)), "s": (8,),
            "t": (8,), "m2": (4,), "v2": f32(np.full(4, 2)), "s2": f32([1, 1, -1, 2]), "t2": (4,),
        },
    )  # fmt: skip
    data = batches((3, 7, 7))
    result = op.prune(model, data=data, **HALF)
    assert result.removals[0].repaired is not None
    made = {name: tensor.numpy() for name, tensor in result.model.constants.items()}
    probe = cut_at(result.model, ["c", "z"], {"c": 1, "z": 1})
    with session_of(probe) as session:
        runs = [session.run(batch.feeds) for batch in data]
    c, z = (np.concatenate([run[name] for run in runs]) for name in ("c", "z"))
    np.testing.assert_allclose(made["m2"], c.mean(axis=(0, 2, 3)), atol=1e-3)
    np.testing.assert_allclose(made["v2"], c.var(axis=(0, 2, 3)), rtol=1e-2)
    np.testing.assert_allclose(made["t2"], z.mean(axis=(0, 2, 3)), atol=1e-3)


def test_depthwise_layers_keep_their_groups() -> None:
    weights: dict[str, Weight] = {"w1": (8, 3, 1, 1), "wd": (8, 1, 3, 3), "bd": (8,)}
    model = model_of(DEPTHWISE, weights | {"w2": (4, 8, 1, 1)} | BIAS)
    data = batches((3, 7, 7))
    plain = op.prune(model, data=data, repair=False, **HALF)
    result = op.prune(model, data=data, **HALF)
    assert result.model.constants["wd"].shape == (4, 1, 3, 3)
    assert deviation(result, data) < deviation(plain, data)


def test_old_models_list_their_weights_among_the_inputs() -> None:
    """What a run does without is no input of it, or it would have to be fed."""
    text = '<ir_version: 3, opset_import: ["": 8]> ' + LONGER % ", b3"
    weights: dict[str, Weight] = {"w1": (8, 6), "w2": (8, 8), "b2": (8,), "w3": (4, 8), "b3": (4,)}
    proto = proto_of(text, {**BIAS, **weights})
    for tensor in proto.graph.initializer:
        info = onnx.helper.make_tensor_value_info(tensor.name, 1, tensor.dims)
        proto.graph.input.append(info)
    result = op.prune(op.load(proto), data=batches((6,)), **HALF)
    assert result.removals[0].repaired is not None
    assert result.verify().passed


def test_the_element_type_stays() -> None:
    text = LINEAR.replace("float[", "float16[")
    weights = {k: np.asarray(v, np.float16) if isinstance(v, np.ndarray) else v
               for k, v in EXACT[0][1].items()}  # fmt: skip
    weights["w2"] = RNG.standard_normal((4, 8)).astype(np.float16)
    weights["b2"] = np.zeros(4, np.float16)
    model = model_of(text, weights)
    data = [Batch({"x": b.feeds["x"].astype(np.float16)}, None, 16) for b in batches((6,))]
    result = op.prune(model, data=data, **HALF)
    assert result.removals[0].repaired is not None
    assert result.model.constants["w2"].dtype == np.float16
    assert result.verify().passed


def test_without_data_nothing_is_done_unless_asked() -> None:
    model = model_of(*EXACT[0][:2])
    assert op.prune(model, **HALF).removals[0].repaired is None
    result = op.prune(model, repair=True, **HALF)
    assert result.removals[0].repaired is not None
    assert deviation(result, batches((6,))) < 1e-4


def test_weights_that_nodes_share_are_fitted_to_all_that_they_read() -> None:
    """Two levels with one head."""
    model = model_of(
        """g (float[n,3,9,9] x) => (float[n,4,9,9] y, float[n,4,5,5] z) {
            s = AveragePool<kernel_shape=[1,1], strides=[2,2]>(x)  t = Neg(s)
            a = Conv<pads=[1,1,1,1]>(x, w1, b1)  y = Conv<pads=[1,1,1,1]>(a, w2, b2)
            b = Conv<pads=[1,1,1,1]>(t, w1, b1)  z = Conv<pads=[1,1,1,1]>(b, w2, b2)
        }""",
        {**NONE, "w1": _mixed(8, 4, 3, 3, 3), "w2": (4, 8, 3, 3)},
    )
    data = batches((3, 9, 9))
    result = op.prune(model, data=data, **HALF)
    repaired = result.removals[0].repaired
    assert repaired is not None
    assert result.plan.repaired.keys() == {"w2", "b2"}
    assert result.model.constants.keys() == model.constants.keys()
    for fidelity in result.fidelity([batch.feeds for batch in data]).values():
        assert fidelity.sqnr_db > 40


@pytest.mark.parametrize("other", ["c = Gemm<transB=1>(b, w)", "m = Abs(w)  c = MatMul(b, m)"])
def test_weights_that_nodes_read_in_different_ways_are_left_alone(other: str) -> None:
    model = model_of(
        f"""g (float[n,8] x) => (float[n,8] y) {{
            h = MatMul(x, u)  a = MatMul(h, w)  b = Relu(a)  {other}  d = MatMul(c, v)  y = Neg(d)
        }}""",
        {"u": (8, 8), "w": (8, 8), "v": (8, 8)},
    )
    result = op.prune(model, data=batches((8,), 64), **HALF)
    repaired = result.removals[0].repaired
    assert repaired is not None
    assert repaired.names == {"v"}


def test_a_repair_that_helps_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "fit_layer", lambda target, seen, numbers: {
        target.weight: 9 * numbers[target.weight]})  # fmt: skip
    model = model_of(*EXACT[0][:2])
    result = op.prune(model, data=batches((6,)), **HALF)
    assert result.removals[0].repaired is None
    assert "left all weights as they were" in result.reports[-1].did[0]
    assert result.plan.repaired == {}


def test_layers_are_fitted_together_where_time_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    plain = gather.gather

    def counted(removals, pruned, targets, *rest):  # type: ignore[no-untyped-def]
        runs.append(len(targets))
        return plain(removals, pruned, targets, *rest)

    monkeypatch.setattr(rounds, "gather", counted)
    model = model_of(LONGER % "", {**BIAS, "w1": (8, 6), "w2": (8, 8), "b2": (8,), "w3": (4, 8)})
    data = batches((6,))
    op.prune(model, data=data, **HALF)
    assert runs == [1, 1]
    runs.clear()
    monkeypatch.setattr(rounds, "WORK", 1.0)
    assert op.prune(model, data=data, **HALF).removals[0].repaired is not None
    assert runs == [2]
    runs.clear()
    monkeypatch.setattr(rounds, "MOMENTS_BYTES", 1)
    op.prune(model, data=data, **HALF)
    assert runs == [1, 1]


def test_steps_go_all_the_way() -> None:
    text = LINEAR.replace("x, w1", "r, w1").replace("{", "{ r = Relu(x)", 1)
    model = model_of(text, {"w1": (40, 6), "b1": (40,), "w2": (4, 40), "b2": (4,)})
    data = batches((6,))
    result = pruning(ratio=0.5, round_to=1, steps=4).run(model, data=data)
    assert [r.pruned.constants["w1"].shape[0] for r in result.removals] == [35, 30, 25, 20]
    assert all(removal.repaired is not None for removal in result.removals)
    assert result.verify().passed
    for target, quantity in (("macs=0.5", "macs"), ("params=0.5", "params"), ("size=60%", "size")):
        whole = pruning(targets=(target,)).run(model, data=data).model.parameters
        stepped = pruning(targets=(target,), steps=3).run(model, data=data)
        assert stepped.model.parameters == pytest.approx(whole, rel=0.05), quantity
        assert stepped.verify().passed


def test_a_repaired_model_is_verified_by_its_plan(tmp_path: Path) -> None:
    model, data = model_of(*EXACT[0][:2]), batches((6,))
    for steps in (1, 3):
        result = pruning(steps=steps, **HALF).run(model, data=data)
        result.plan.save(tmp_path / "plan.json")
        plan = op.Plan.load(tmp_path / "plan.json")
        assert plan.repaired.keys() == {"w2", "b2"}
        assert Comparison(model, result.model, {}, 0, plan).equivalence().passed
        other = result.model.copy()
        array = other.constants["w2"].numpy().copy()
        array[0, 0] += 1e-3
        other.set_constants({"w2": ArrayTensor.of(array)})
        with pytest.raises(PlanError, match="w2"):
            Comparison(model, other, {}, 0, plan).equivalence()
    document = json.loads((tmp_path / "plan.json").read_text())
    assert document["repaired"].keys() == {"w2", "b2"}


def test_equal_data_give_equal_weights() -> None:
    model, data = model_of(*EXACT[1][:2]), batches((3, 9, 9))
    one, two = (op.prune(model, data=data, **HALF).plan.repaired for _ in range(2))
    assert one == two


def test_weights_of_integers_are_fitted_and_stay_integers(tmp_path: Path) -> None:
    """Their scales stay, too; the plan names the integers."""
    text = """g (float[n,6] x) => (float[n,4] y) {
        f1 = DequantizeLinear<axis=0>(w1, s1)  a = Gemm<transB=1>(x, f1, b1)
        f2 = DequantizeLinear<axis=0>(w2, s2)  y = Gemm<transB=1>(a, f2, b2)
    }"""
    _, floats, _ = EXACT[0]
    wide = RNG.standard_normal((4, 8)) / 4
    weights: dict[str, Weight] = {**BIAS}
    for name, array in (("1", np.asarray(floats["w1"])), ("2", wide)):
        scale = np.full(len(array), 2.5 * np.abs(array).max() / 127)
        weights[f"w{name}"] = np.rint(array / scale[:, None]).astype(np.int8)
        weights[f"s{name}"] = f32(scale)
    model, data, fresh = model_of(text, weights), batches((6,)), batches((6,))
    plain = op.prune(model, data=data, repair=False, **HALF)
    result = op.prune(model, data=data, **HALF)
    assert deviation(result, fresh) < 0.02 * deviation(plain, fresh)
    assert result.verify().passed
    assert result.plan.repaired.keys() == {"w2", "b2"}
    assert result.model.constants["w2"].dtype == np.int8
    scales = result.model.constants["s2"].numpy()
    assert np.array_equal(scales, model.constants["s2"].numpy())
    result.plan.save(tmp_path / "plan.json")
    plan = op.Plan.load(tmp_path / "plan.json")
    assert Comparison(model, result.model, {}, 0, plan).equivalence().passed
