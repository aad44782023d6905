"""Tensors of types that numpy does not have: bfloat16, float8, and those of less than a byte.

In numpy they are of the dtypes of `ml_dtypes`, of which ONNX Runtime's binding knows nothing. They
go in and out as values whose memory is written and read as it lies there: elements of less than a
byte are packed, the first in the lowest bits.
"""

import ctypes
from collections.abc import Mapping
from math import prod
from typing import Any, Final

import ml_dtypes
import numpy as np

from onnxprune.runtime.binding import Array, OnnxRuntime, OrtValue, is_array

_DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    16: np.dtype(ml_dtypes.bfloat16),
    17: np.dtype(ml_dtypes.float8_e4m3fn),
    18: np.dtype(ml_dtypes.float8_e4m3fnuz),
    19: np.dtype(ml_dtypes.float8_e5m2),
    20: np.dtype(ml_dtypes.float8_e5m2fnuz),
    21: np.dtype(ml_dtypes.uint4),
    22: np.dtype(ml_dtypes.int4),
    23: np.dtype(ml_dtypes.float4_e2m1fn),
    24: np.dtype(ml_dtypes.float8_e8m0fnu),
    25: np.dtype(ml_dtypes.uint2),
    26: np.dtype(ml_dtypes.int2),
}
"""The dtype of each of these types, by its number in ONNX."""
_NUMBERS: Final = {dtype: number for number, dtype in _DTYPES.items()}
_BITS: Final = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2}
_PORTS: Final = tuple(
    f"tensor({name}" for name in ("bfloat16", "float8", "uint4", "int4", "float4", "uint2", "int2")
)
"""How a session spells them."""


def is_narrow(array: object) -> bool:
    """Says whether an input is a tensor of one of these types; sequences are lists."""
    return is_array(array) and array.dtype in _NUMBERS


def is_narrow_port(spelling: str) -> bool:
    """Says whether an input or output has one of these types.

    Args:
        spelling: ONNX Runtime's, such as `tensor(bfloat16)`.
    """
    return spelling.startswith(_PORTS)


def to_value(runtime: OnnxRuntime, array: Array) -> OrtValue:
    """Returns a tensor of any type as ONNX Runtime takes it.

    Args:
        runtime: The module.
        array: The tensor; not changed.
    """
    array = np.ascontiguousarray(array).reshape(array.shape)
    number = _NUMBERS.get(array.dtype)
    if number is None:
        return runtime.OrtValue.ortvalue_from_numpy(array)
    if number in _BITS:
        array = _packed(array, _BITS[number])
    return runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, number)


def from_value(value: OrtValue) -> object:
    """Returns a value of any type as numpy has it; a container as a list.

    Args:
        value: The value.
    """
    number = value.element_type() if value.is_tensor() else 0
    dtype = _DTYPES.get(number)
    if dtype is None:
        return value.numpy()
    shape = tuple(value.shape())
    content = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    if number in _BITS:
        return _unpacked(content, prod(shape), _BITS[number]).view(dtype).reshape(shape)
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _packed(array: Array, bits: int) -> Array:
    """The same elements, packed into the first bytes of an array of the same shape and dtype."""
    each = 8 // bits
    codes = array.view(np.uint8).reshape(-1) & (2**bits - 1)
    rows = np.append(codes, np.zeros(-codes.size % each, np.uint8)).reshape(-1, each)
    packed = np.zeros(codes.size, np.uint8)
    packed[: len(rows)] = (rows << np.arange(0, 8, bits, dtype=np.uint8)).sum(1, dtype=np.uint8)
    return packed.view(array.dtype).reshape(array.shape)


def _unpacked(content: bytes, size: int, bits: int) -> Array:
    """The codes of packed elements, a byte each; `ml_dtypes` extends the sign itself."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes: Array = (np.frombuffer(content, np.uint8)[:, None] >> shifts) & (2**bits - 1)
    return np.ascontiguousarray(codes.reshape(-1)[:size])
