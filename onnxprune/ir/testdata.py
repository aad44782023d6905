"""Tensors in files of their own, as ONNX's test data sets hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError

from onnxprune.errors import ModelError, UsageError
from onnxprune.ir.external import is_external
from onnxprune.ir.tensors import InlineTensor
from onnxprune.ir.validate import check_tensor


def read_tensor(path: Path) -> tuple[str, npt.NDArray[Any]]:
    """Read a file that holds one `TensorProto`.

    Args:
        path: such as ``test_data_set_0/input_0.pb``.

    Returns:
        The tensor's name, often empty, and its data.

    Raises:
        UsageError: the file cannot be read, holds no tensor, or points to another file.
    """
    proto = onnx.TensorProto()
    try:
        proto.ParseFromString(path.read_bytes())
        check_tensor(proto, str(path))
        if is_external(proto):
            raise ModelError("its data lies in another file, which is not followed")
        return proto.name, InlineTensor(proto).numpy()
    except (OSError, DecodeError, ModelError) as error:
        raise UsageError(
            "the file holds no tensor that can be read",
            where=str(path),
            why=error.message if isinstance(error, ModelError) else str(error),
            hint="write it with onnx.numpy_helper.from_array(array, name).SerializeToString()",
        ) from error
