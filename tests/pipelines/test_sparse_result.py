"""Proofs and plans of models with zeros: what differs on purpose, and that nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxprune as op
from onnxprune.coupling.plan import hash_of
from onnxprune.data.batches import Batch
from onnxprune.errors import EquivalenceError, PlanError
from onnxprune.ir.tensors import ArrayTensor
from onnxprune.passes import Sparsify
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.presets import pruning
from onnxprune.pipelines.result import Result
from tests.conftest import Run
from tests.texts import Weight, f32, model_of, replace

RNG = np.random.default_rng(2)
NET = """g (float[n,16] x) => (float[n,8] y) {
    h = Gemm(x, a, p)  i = Relu(h)  j = LayerNormalization(i, s, t)  y = Gemm<transB=1>(j, b, q)
}"""
WEIGHTS: dict[str, Weight] = {
    "a": (16, 32),
    "p": (32,),
    "s": (32,),
    "t": (32,),
    "b": (8, 32),
    "q": (8,),
}
DATA = [Batch({"x": f32(RNG.standard_normal((32, 16)))}, None, 32) for _ in range(6)]
OPTIONS: list[tuple[dict[str, Any], list[Batch] | None]] = [
    ({"sparsity": 0.5}, None),
    ({"pattern": "2:4"}, None),
    ({"sparsity": 0.5, "scope": "global"}, DATA),
    ({"pattern": "2:4"}, DATA),
]


def made(options: dict[str, Any], data: list[Batch] | None, **more: Any) -> Result:
    return pruning(sparsify=options, **more).run(model_of(NET, WEIGHTS), data=data)


def test_a_change_of_what_the_pass_did_not_touch_is_found() -> None:
    for name in ("p", "s", "q"):
        result = made({"sparsity": 0.5}, None)
        array = result.model.constants[name].numpy().copy()
        replace(result.model, name, array + f32(0.5))
        with pytest.raises(EquivalenceError, match="does not compute what"):
            result.verify()


def test_a_change_of_zeros_is_found() -> None:
    result = made({"sparsity": 0.5}, None)
    result.model = result.model.copy()
    replace(result.model, "b", result.original.constants["b"].numpy())
    with pytest.raises(EquivalenceError):
        result.verify()


@pytest.mark.parametrize("size", [1e-7, 1.0])
def test_the_pass_itself_may_change_nothing_else(size: float) -> None:
    """Not by the last bit, which no output would show."""
    result = op.Pipeline([Sparsify(sparsity=0.5)]).run(model_of(NET, WEIGHTS))
    sparse = result.removals[0].sparsified
    assert sparse is not None
    assert sparse.names == {"a", "b"}
    for model in (sparse.model, result.model):
        array = model.constants["p"].numpy() * f32(1 + size)
        replace(model, "p", array)
    verdict = result.verify(check=False)
    assert verdict.verdict == "failed"
    assert verdict.worst == "p"
    assert verdict.why == "it changed with weights that were made anew, and is none of them"
    with pytest.raises(EquivalenceError) as caught:
        result.verify()
    assert caught.value.where == "p"


def test_the_pass_may_not_change_the_graph() -> None:
    result = op.Pipeline([Sparsify(sparsity=0.5)]).run(model_of(NET, WEIGHTS))
    sparse = result.removals[0].sparsified
    assert sparse is not None
    for model in (sparse.model, result.model):
        model.proto.graph.node[0].attribute.add(name="alpha", type=1, f=1.0)
    assert result.verify(check=False).worst == "h"


def test_repair_may_change_nothing_else_either() -> None:
    result = pruning(ratio=0.5, round_to=1).run(model_of(NET, WEIGHTS), data=DATA)
    (removal,) = [r for r in result.removals if r.repaired]
    repaired = removal.repaired
    assert repaired is not None
    assert result.verify().passed
    assert "a" not in repaired.names
    for model in (repaired.model, result.model):
        replace(model, "a", model.constants["a"].numpy() * f32(1 + 1e-7))
    assert result.verify(check=False).worst == "a"


@pytest.mark.parametrize(("options", "data"), OPTIONS)
def test_the_plan_lists_what_changed(
    options: dict[str, Any], data: list[Batch] | None, tmp_path: Path
) -> None:
    result = made(options, data)
    assert result.verify().passed
    old, new = result.original.constants, result.model.constants
    changed = {n for n in old if not np.array_equal(old[n].numpy(), new[n].numpy())}
    assert {"a", "b"} <= changed <= result.plan.repaired.keys()
    assert data or result.plan.repaired.keys() == changed
    for name, expected in result.plan.repaired.items():
        assert hash_of(new[name]) == expected
    assert not result.plan.initializers
    result.plan.save(tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    assert document["repaired"] == result.plan.repaired


@pytest.mark.parametrize("storage", [False, True])
@pytest.mark.parametrize("more", [{}, {"ratio": 0.5, "round_to": 1}, {"steps": 2}])
@pytest.mark.parametrize(("options", "data"), OPTIONS)
def test_a_plan_proves_what_was_written(
    options: dict[str, Any],
    data: list[Batch] | None,
    more: dict[str, Any],
    storage: bool,
    tmp_path: Path,
) -> None:
    result = made(options, data, sparse_storage=storage, **more)
    assert result.verify().passed
    result.model.save(tmp_path / "out.onnx")
    result.plan.save(tmp_path / "plan.json")
    written, plan = op.load(tmp_path / "out.onnx"), op.Plan.load(tmp_path / "plan.json")
    assert Comparison(result.original, written, {}, 0, plan).equivalence().passed
    for name, touched in (("b", True), ("p", False)):
        other = op.load(op.Pipeline("fold-constants").run(written).model.to_proto())
        array = other.constants[name].numpy().copy()
        array.flat[0] += 1.0
        other.set_constants({name: ArrayTensor.of(array)})
        comparison = Comparison(result.original, other, {}, 0, plan)
        if touched or name in plan.repaired:
            with pytest.raises(PlanError, match=f"the weight '{name}' is not the one"):
                comparison.equivalence()
        else:
            assert comparison.equivalence().verdict == "failed"


def test_integers_are_known_to_the_plan() -> None:
    text = """g (float[n,16] x) => (float[n,12] y) {
        d = DequantizeLinear<axis=0>(w, s)  y = Gemm<transB=1>(x, d)
    }"""
    weights: dict[str, Weight] = {
        "w": RNG.integers(-60, 60, (12, 16)).astype(np.int8),
        "s": f32(RNG.random(12)),
    }
    model = model_of(text, weights)
    result = pruning(sparsify={"pattern": "2:4"}).run(model)
    assert result.plan.repaired.keys() == {"w"}
    assert Comparison(model, result.model, {}, 0, result.plan).equivalence().passed


def test_a_plan_of_zeros_alone_has_nothing_to_apply(run: Run, tmp_path: Path) -> None:
    result = made({"sparsity": 0.5}, None, round_to=1)
    result.original.save(tmp_path / "in.onnx")
    result.plan.save(tmp_path / "plan.json")
    done = run("apply", tmp_path / "plan.json", tmp_path / "in.onnx", tmp_path / "out.onnx")
    told = " ".join(done.output.split())
    assert done.exit_code == 3
    assert "the plan removes nothing" in told
    assert "new weights, which it does not hold" in told
    assert "run its pipeline: --passes" in told
    assert not (tmp_path / "out.onnx").exists()


def test_what_a_plan_does_not_hold_is_said(run: Run, tmp_path: Path) -> None:
    result = made({"sparsity": 0.5}, None, ratio=0.5, round_to=1)
    result.original.save(tmp_path / "in.onnx")
    result.plan.save(tmp_path / "plan.json")
    done = run("apply", tmp_path / "plan.json", tmp_path / "in.onnx", tmp_path / "out.onnx")
    told = " ".join(done.output.split())
    assert done.exit_code == 0
    assert "the plan was made with weights that it does not hold" in told
    applied = op.load(tmp_path / "out.onnx").constants
    assert applied["a"].shape == result.model.constants["a"].shape
    assert (applied["a"].numpy() != 0).all()


def test_the_proof_of_channels_stands_beside_that_of_their_order() -> None:
    result = pruning(ratio=0.5, round_to=1, sparsify={"pattern": "1:2"}).run(
        model_of(NET, WEIGHTS), data=DATA
    )
    assert [removal.permuted for removal in result.removals] == [False, True, False]
    alone = pruning(ratio=0.5, round_to=1).run(model_of(NET, WEIGHTS), data=DATA)
    verdict = result.verify()
    assert verdict.compared >= alone.verify().compared > 1
    assert verdict.passed
