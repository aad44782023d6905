"""Element types of tensors: their names, numpy's dtypes for them, and what they are good for."""

from typing import Any, Final

import numpy as np
import onnx
import onnx.helper

from onnxprune.errors import InternalError, ModelError

TYPE_NAMES: Final[dict[int, str]] = {
    number: name for name, number in onnx.TensorProto.DataType.items()
}
"""Name of each element type, by its number in `onnx.TensorProto.DataType`."""

_BITS_BY_NAME: Final = {
    **dict.fromkeys(("UINT4", "INT4", "FLOAT4E2M1"), 4),
    **dict.fromkeys(("UINT2", "INT2"), 2),
    **dict.fromkeys(("FLOAT6E2M3", "FLOAT6E3M2"), 6),
}
# Only the types that the installed onnx knows: six and two bits are younger than others.
PACKED_BITS: Final[dict[int, int]] = {
    number: _BITS_BY_NAME[name] for number, name in TYPE_NAMES.items() if name in _BITS_BY_NAME
}
_FLOAT_TYPES: Final[frozenset[int]] = frozenset(
    number
    for number, name in TYPE_NAMES.items()
    if name.startswith(("FLOAT", "BFLOAT", "DOUBLE", "COMPLEX"))
)
_NARROW_TYPES: Final[frozenset[int]] = frozenset(
    number
    for number, name in TYPE_NAMES.items()
    if name.lstrip("U") in ("INT2", "INT4", "INT8", "INT16")
)


def is_weight_type(elem_type: int) -> bool:
    """Says whether constants of an element type are weights: floating point, or quantized.

    Wider integers are shapes and indices, and the biases of quantized layers, which are few.

    Args:
        elem_type: A number of `onnx.TensorProto.DataType`.
    """
    return elem_type in _FLOAT_TYPES or elem_type in _NARROW_TYPES


def is_coarse_type(elem_type: int) -> bool:
    """Says whether numbers of an element type are so far apart that rounding shows.

    Args:
        elem_type: A number of `onnx.TensorProto.DataType`.
    """
    tiny = TYPE_NAMES.get(elem_type, "").startswith(("FLOAT4", "FLOAT6", "FLOAT8"))
    return tiny or elem_type in _NARROW_TYPES


def is_float_type(elem_type: int) -> bool:
    """Says whether an element type is floating point, complex numbers included.

    Args:
        elem_type: A number of `onnx.TensorProto.DataType`.
    """
    return elem_type in _FLOAT_TYPES


def dtype_of(elem_type: int) -> np.dtype[Any]:
    """Returns the numpy dtype of an element type, one of `ml_dtypes` where numpy has none.

    Args:
        elem_type: A number of `onnx.TensorProto.DataType`.

    Raises:
        ModelError: The installed onnx does not know the type.
    """
    if elem_type == onnx.TensorProto.UNDEFINED or elem_type not in TYPE_NAMES:
        raise ModelError(
            f"element type {elem_type} is unknown",
            why=f"onnx {onnx.__version__} does not define it",
            hint="install a newer onnx, if the model comes from one",
        )
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(elem_type))


def elem_type_of(dtype: np.dtype[Any]) -> int:
    """Returns the element type of a numpy dtype, those of `ml_dtypes` included.

    Args:
        dtype: Any dtype that ONNX has a type for.

    Raises:
        InternalError: ONNX has no such element type.
    """
    try:
        return int(onnx.helper.np_dtype_to_tensor_dtype(dtype))
    except ValueError as error:
        raise InternalError(f"ONNX has no element type for {dtype}") from error


def packed_nbytes(elem_type: int, size: int) -> int:
    """Returns how many bytes ONNX stores for a number of elements.

    Types of less than a byte are packed: nine INT4 elements take five bytes.

    Args:
        elem_type: A number of `onnx.TensorProto.DataType`; not STRING.
        size: Number of elements.
    """
    bits = PACKED_BITS.get(elem_type) or dtype_of(elem_type).itemsize * 8
    return (size * bits + 7) // 8


def is_float_dtype(dtype: np.dtype[Any]) -> bool:
    """Says whether a numpy dtype is floating point, those of `ml_dtypes` included.

    Args:
        dtype: Any; that of bfloat16 is of kind V.
    """
    return "float" in dtype.name
