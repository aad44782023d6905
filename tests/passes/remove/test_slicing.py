"""Slicing constants: every element type, packed ones included."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxprune.axes import DimSpace, Keep
from onnxprune.ir.elements import TYPE_NAMES, dtype_of
from onnxprune.ir.tensors import ArrayTensor, InlineTensor
from onnxprune.ops.site import Value
from onnxprune.passes.remove.slicing import SlicedTensor

NUMBERS = sorted(set(TYPE_NAMES) - {onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING})


@pytest.mark.parametrize("elem_type", NUMBERS, ids=TYPE_NAMES.get)
def test_every_type_is_sliced_and_packed_anew(elem_type: int) -> None:
    """Of 5 x 7 elements 3 x 4 stay: packed rows neither begin nor end at whole bytes."""
    drawn = np.random.default_rng(0).integers(0, 2, (5, 7))
    has_no_zero = TYPE_NAMES[elem_type] == "FLOAT8E8M0"
    array = (drawn + has_no_zero).astype(dtype_of(elem_type))
    rows, columns = np.array([1, 0, 1, 1, 0], np.bool_), np.array([0, 1, 1, 0, 1, 0, 1], np.bool_)
    space = DimSpace()
    first, second = space.dim(5, ("w", 0)), space.dim(7, ("w", 1))
    value = Value("w", (5, 7), (first, second), constant=True)
    keeps = {first: Keep(rows), second: Keep(columns)}
    sliced = SlicedTensor(ArrayTensor(array, elem_type), value, keeps)
    stored = InlineTensor(sliced.to_proto("w"))
    assert stored.shape == sliced.shape == (3, 4)
    assert stored.nbytes == len(stored.raw()) == sliced.nbytes
    assert stored.numpy().dtype == array.dtype
    assert np.array_equal(stored.numpy(), array[rows][:, columns])
