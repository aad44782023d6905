"""What models declare about their inputs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxprune.data.declared import Axis, declared_inputs, leading_axis
from onnxprune.errors import UsageError
from tests.data.sources import declared
from tests.texts import model_of

TEXT = "g (float[N,3,?] x, int64[2] i, float k) => (float[N,3,M] z) { z = Mul(x, k) }"


def test_sizes_and_names_of_axes_are_read() -> None:
    x, i, k = declared_inputs(model_of(TEXT, {}))
    assert (x.name, x.dtype, x.shape) == ("x", np.dtype(np.float32), ("N", 3, None))
    assert (i.dtype, i.shape) == (np.dtype(np.int64), (2,))
    assert k.shape == ()


def test_an_input_without_a_shape_needs_one() -> None:
    model = model_of(TEXT, {})
    model.proto.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UsageError, match="input 'x' has no declared shape"):
        declared_inputs(model)
    assert declared_inputs(model, {"x": (1, 3, 4)})[0].shape == (1, 3, 4)


def test_only_tensors_are_fed() -> None:
    model = model_of(TEXT, {})
    item = model.proto.graph.input[1].type.sequence_type.elem_type
    item.tensor_type.elem_type = onnx.TensorProto.FLOAT
    with pytest.raises(UsageError, match="input 'i' is no tensor"):
        declared_inputs(model)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([("N", 3)], "N"),
        ([(None, 3)], "batch"),
        ([(4, 3), (4,)], 4),
        ([("N", 3), (None, "T"), ("N",)], "N"),
        ([("N", 3), ("M", 3)], None),
        ([("N", 3), (2, "N", 3)], None),
        ([(None, 3), (1, 3)], None),
        ([("N", 3), ()], None),
        ([("T",)], None),
    ],
)
def test_the_leading_axis(shapes: list[tuple[Axis, ...]], expected: Axis) -> None:
    assert leading_axis(declared("x", *shape) for shape in shapes) == expected
