"""Weights from elsewhere, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxprune as op
from onnxprune.data.arrays import named_arrays
from onnxprune.errors import UsageError
from onnxprune.pipelines.weights import import_weights
from tests.conftest import Run
from tests.texts import f32, model_of

TEXT = """g (float[n,4] x) => (float[n,2] y) {
    a = Gemm<transB=1>(x, w1, b1)  r = Relu(a)  y = Gemm<transB=1>(r, w2, b2)
}"""
SHAPES: dict[str, Any] = {"w1": (6, 4), "b1": (6,), "w2": (2, 6), "b2": (2,)}


def _arrays(seed: int = 1) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return {name: f32(rng.standard_normal(shape)) for name, shape in SHAPES.items()}


def test_arrays_are_written_and_all_else_stays() -> None:
    model, arrays = model_of(TEXT, SHAPES), _arrays()
    before = {name: tensor.numpy().copy() for name, tensor in model.constants.items()}
    made = import_weights(model, {**arrays, "b1": arrays["b1"].astype(np.float64)})
    assert made.written == ("w1", "b1", "w2", "b2")
    for name, tensor in made.model.constants.items():
        np.testing.assert_array_equal(tensor.numpy(), arrays[name])
        assert tensor.dtype == np.float32
        np.testing.assert_array_equal(model.constants[name].numpy(), before[name])
    assert made.model.proto.graph.node == model.proto.graph.node


def test_counters_and_merged_vectors_are_passed_over() -> None:
    arrays = _arrays()
    more = {"bn.num_batches_tracked": np.array(7), "twin": arrays["b2"].copy()}
    assert import_weights(model_of(TEXT, SHAPES), arrays | more).unused == ()


def test_names_may_be_mapped() -> None:
    arrays = _arrays()
    arrays["theirs"] = arrays.pop("b2")
    made = import_weights(model_of(TEXT, SHAPES), arrays, names={"b2": "theirs"})
    np.testing.assert_array_equal(made.model.constants["b2"].numpy(), arrays["theirs"])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"w1": f32(np.zeros((4, 6)))}, {}, "another shape"),
        ({"b2": f32([1, np.nan])}, {}, "not finite"),
        ({"b2": None}, {}, "do not match"),
        ({"more": f32([1, 2, 3])}, {}, "do not match"),
        ({}, {"names": {"b2": "none"}}, "no array"),
        ({}, {"names": {"none": "b2"}}, "no weight"),
    ],
)
def test_what_does_not_fit_is_refused(
    change: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    arrays = {k: v for k, v in {**_arrays(), **change}.items() if v is not None}
    with pytest.raises(UsageError, match=message):
        import_weights(model_of(TEXT, SHAPES), arrays, **options)


def test_some_names_may_be_missing_if_asked() -> None:
    arrays = _arrays()
    del arrays["w2"]
    made = import_weights(model_of(TEXT, SHAPES), arrays | {"more": f32([1, 2])}, strict=False)
    assert (made.kept, made.unused) == (("w2",), ("more",))
    for strict in (True, False):
        with pytest.raises(UsageError, match="the names of the weights do not match") as caught:
            import_weights(model_of(TEXT, SHAPES), {"other": f32([1, 2])}, strict=strict)
        assert ("--partial" in caught.value.hint) == strict


def test_a_pruned_model_takes_back_its_own_sliced_weights() -> None:
    model = model_of(TEXT, SHAPES)
    result = op.prune(model, 0.5, round_to=1)
    state = {name: tensor.numpy() for name, tensor in model.constants.items()}
    made = import_weights(result.model, result.plan.apply_to_state_dict(state))
    for name, tensor in made.model.constants.items():
        np.testing.assert_array_equal(tensor.numpy(), result.model.constants[name].numpy())


def test_the_command(run: Run, tmp_path: Path) -> None:
    source, weights, target = (tmp_path / name for name in ("a.onnx", "w.npz", "b.onnx"))
    model_of(TEXT, SHAPES).save(source)
    np.savez(weights, **_arrays())  # type: ignore[arg-type]
    result = run("import-weights", source, weights, target)
    assert (result.exit_code, result.stdout.split(": ")[1]) == (
        0, "4 weights written, 0 kept, 0 arrays not used\n")  # fmt: skip
    np.testing.assert_array_equal(op.load(target).constants["w1"].numpy(), _arrays()["w1"])
    before = source.read_bytes(), weights.read_bytes()
    for arguments, message in (
        ((source,), "would replace the input model"),
        ((weights,), "would replace the weights"),
        ((target, "--map", "w1"), "'w1' is not WEIGHT=ARRAY"),
    ):
        refused = run("import-weights", source, weights, *arguments)
        assert (refused.exit_code, message in refused.stderr) == (2, True)
    assert (source.read_bytes(), weights.read_bytes()) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken.npz", r"the weights cannot be read(.|\n)*it is no ZIP archive"),
        ("strange.txt", ".txt is no file of weights"),
        ("tensors.safetensors", "safetensors is not installed|the weights cannot be read"),
        ("network.pt", "torch is not installed|the weights cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match="no such file"):
        named_arrays(tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(UsageError, match=message):
        named_arrays(tmp_path / name)
