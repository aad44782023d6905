"""Numbers that are so coarse that rounding shows, counted in steps from one to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.ir.elements import elem_type_of, is_coarse_type

Array = npt.NDArray[Any]
_FLOATS = ("float4_", "float6_", "float8_")


def is_coarse(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of a type are quantized: narrow integers, floating point of a byte or less.

    Args:
        dtype: of numpy, or one of those that it does not have.
    """
    return is_coarse_type(elem_type_of(dtype))


def steps(array: Array) -> npt.NDArray[np.float64]:
    """The place of each element among the numbers of its type in ascending order, 0 at 0.

    Args:
        array: of a coarse type.
    """
    name = array.dtype.name
    if not name.startswith(_FLOATS):
        return array.astype(np.float64)
    codes = np.ascontiguousarray(array).view(np.uint8).astype(np.int16)
    if name.endswith("e8m0fnu"):  # it has no sign
        return codes.astype(np.float64)
    sign = 1 << (int(name[len("float")]) - 1)
    places = np.where(codes & sign, -(codes & (sign - 1)), codes & (sign - 1))
    return np.where(np.isnan(array), sign << 1, places).astype(np.float64)
