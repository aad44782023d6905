"""Models that exist only to be run: other outputs, masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from onnxprune.ir.elements import dtype_of
from onnxprune.ir.probe import ProbeBuilder, jittered, with_outputs
from onnxprune.verify.sessions import session_of
from tests.texts import assert_valid, f32, model_of

FLOAT = onnx.TensorProto.FLOAT
X = f32([[1, -2, 3]])


def test_a_probe_shows_other_outputs() -> None:
    model = model_of(
        "g (float[1,3] x) => (float[1,3] y) { a = Relu(x)  s = Shape(a)  y = Neg(a) }", {}
    )
    probe = with_outputs(model, ["a", "s"], {"a": FLOAT, "s": onnx.TensorProto.INT64})
    with session_of(probe) as session:
        found = session.run({"x": X})
    assert list(found) == ["a", "s"]
    assert found["a"].tolist() == [[1, 0, 3]]
    assert found["s"].tolist() == [1, 3]
    assert [info.name for info in model.proto.graph.output] == ["y"]


@pytest.mark.parametrize(
    "name",
    [
        *("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "FLOAT8E4M3FN", "BOOL"),
        *("INT64", "INT32", "INT16", "INT8", "INT4", "INT2"),
        *("UINT64", "UINT32", "UINT16", "UINT8", "UINT4", "UINT2"),
    ],
)
def test_hidden_places_are_neutral_in_every_type(name: str) -> None:
    elem_type = onnx.TensorProto.DataType.Value(name)
    word = {"FLOAT": "float", "DOUBLE": "double"}.get(name, name.lower())
    text = f"g ({word}[1,3] x) => ({word}[1,3] y) {{ y = Identity(x) }}"
    model = model_of(text, {}, opset=25)
    builder = ProbeBuilder(model, {})
    mask = np.array([[True, False, True]])
    builder.rename(builder.hide("x", mask, elem_type), "y")
    probe = builder.finish()
    assert_valid(probe)
    x = np.array([[1, 1, 1]]).astype(dtype_of(elem_type))
    with session_of(probe) as session:
        assert session.run({"x": x})["y"].astype(int).tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("word", ["uint64", "int64", "uint32"])
def test_what_is_shown_keeps_every_bit(word: str) -> None:
    dtype = np.dtype(word)
    elem_type = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    model = model_of(f"g ({word}[1,3] x) => ({word}[1,3] y) {{ y = Identity(x) }}", {})
    builder = ProbeBuilder(model, {})
    builder.rename(builder.hide("x", np.array([[True, False, True]]), elem_type), "y")
    largest = int(np.iinfo(word).max)
    x = np.array([[largest, 5, 3]], dtype)
    with session_of(builder.finish()) as session:
        assert session.run({"x": x})["y"].tolist() == [[largest, 0, 3]]


@pytest.mark.parametrize("opset", [7, 8, 9, 17])
def test_hiding_keeps_infinities_out(opset: int) -> None:
    """A product with a mask of zeros would make NaN of them."""
    model = model_of("g (float[1,3] x) => (float[1,3] y) { y = Neg(x) }", {}, opset=opset)
    builder = ProbeBuilder(model, {})
    builder.rename(builder.hide("x", np.array([[True, False, False]]), FLOAT), "y")
    x: npt.NDArray[np.float32] = f32([[1, np.inf, np.nan]])
    with session_of(builder.finish()) as session:
        assert session.run({"x": x})["y"].tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("opset", [7, 17])
@pytest.mark.parametrize(
    "mask",
    [
        [[True, False, True], [False, False, False]],
        [[True, False, True], [False, True, True]],
        [[False, False, False]],
    ],
    ids=["each axis by itself", "axes that depend on each other", "nothing shown"],
)
def test_masks_over_two_axes(opset: int, mask: list[list[bool]]) -> None:
    model = model_of("g (float[2,3] x) => (float[2,3] y) { y = Neg(x) }", {}, opset=opset)
    builder = ProbeBuilder(model, {})
    builder.rename(builder.typed(FLOAT).where(np.array(mask), "x", 7.0), "y")
    with session_of(builder.finish()) as session:
        found = session.run({"x": np.ones((2, 3), np.float32)})["y"]
    assert found.tolist() == np.where(np.broadcast_to(mask, (2, 3)), 1.0, 7.0).tolist()


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_sums_in_every_operator_set(opset: int) -> None:
    model = model_of("g (float[1,3] x) => (float[n] y) { y = Neg(x) }", {}, opset=opset)
    builder = ProbeBuilder(model, {})
    builder.rename(builder.reduce("ReduceSum", "x", [1], keepdims=False), "y")
    with session_of(builder.finish()) as session:
        assert session.run({"x": X})["y"].tolist() == [2]


def test_infinities_become_extreme_numbers_of_the_type() -> None:
    model = model_of("g (float[1,3] x) => (float[1,3] y) { y = Neg(x) }", {})
    builder = ProbeBuilder(model, {})
    for elem_type, low in ((FLOAT, np.finfo(np.float32).min), (onnx.TensorProto.INT8, -128)):
        name = builder.typed(elem_type).like(-np.inf)
        assert builder.finish().constants[name].numpy() == low


JITTERED = {"float": (np.float32, 7), "float16": (np.float16, 7), "double": (np.float64, 12)}
"""The types whose results jitter moves, and the opset since which it does."""


@pytest.mark.parametrize(
    ("name", "dtype", "opset"),
    [
        (name, dtype, opset)
        for name, (dtype, since) in JITTERED.items()
        for opset in (7, 11, 12, 17, 22)
        if opset >= since
    ],
)
def test_jitter_moves_results_by_their_last_bits(
    name: str, dtype: type[np.floating], opset: int
) -> None:
    model = model_of(
        f"g ({name}[64] x) => ({name}[64] y) {{ a = Neg(x) y = Neg(a) }}", {}, opset=opset
    )
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x = np.linspace(1, 2, 64).astype(dtype)
    x[:2] = np.inf, -np.inf
    with session_of(jittered(model, {"a": kind, "y": kind})) as session:
        y = session.run({"x": x})["y"]
    assert y[:2].tolist() == [np.inf, -np.inf]
    units = (y[2:] / x[2:] - 1).astype(np.float64) / np.finfo(dtype).eps
    assert 1 <= np.abs(units).max() <= 4
    assert units.min() < 0 < units.max()
