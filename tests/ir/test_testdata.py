"""Tensors in files of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from onnxprune.errors import UsageError
from onnxprune.ir.testdata import read_tensor


def test_a_tensor_is_read_with_its_name(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    (tmp_path / "t.pb").write_bytes(onnx.numpy_helper.from_array(array, "x").SerializeToString())
    name, found = read_tensor(tmp_path / "t.pb")
    assert name == "x"
    assert found.dtype == np.float16
    assert np.array_equal(found, array)


def outside() -> onnx.TensorProto:
    proto = onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=[1])
    proto.data_location = onnx.TensorProto.EXTERNAL
    proto.external_data.add(key="location", value="/etc/passwd")
    return proto


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "element type 0"),
        (b"\xff\xff", "parsing"),
        (
            onnx.TensorProto(data_type=1, dims=[5], raw_data=b"1234").SerializeToString(),
            "does not have the length of its shape",
        ),
        (outside().SerializeToString(), "lies in another file, which is not followed"),
    ],
)
def test_what_is_no_tensor_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "t.pb").write_bytes(content)
    with pytest.raises(UsageError, match="no tensor that can be read") as caught:
        read_tensor(tmp_path / "t.pb")
    assert caught.value.where == str(tmp_path / "t.pb")
    assert why in caught.value.why


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tensor that can be read") as caught:
        read_tensor(tmp_path / "t.pb")
    assert "No such file" in caught.value.why
