"""Constants of every element type, read lazily from wherever they lie."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper
import pytest

from onnxprune.errors import InternalError, ModelError
from onnxprune.ir.elements import TYPE_NAMES, dtype_of, is_float_type, is_weight_type, packed_nbytes
from onnxprune.ir.tensors import ArrayTensor, ExternalTensor, FileStamp, InlineTensor, Tensor

NUMBERS = sorted(set(TYPE_NAMES) - {onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING})
SHAPE = (3, 5)


def array_of(elem_type: int, shape: tuple[int, ...] = SHAPE) -> npt.NDArray[Any]:
    values = np.random.default_rng(0).integers(0, 2, shape)
    if TYPE_NAMES[elem_type] == "FLOAT8E8M0":
        values += 1  # it has no zero
    array: npt.NDArray[Any] = values.astype(dtype_of(elem_type))
    return array


def external(tmp_path: Path, array: npt.NDArray[Any]) -> ExternalTensor:
    path, before = tmp_path / "data", b"before"
    proto = onnx.numpy_helper.from_array(array)
    path.write_bytes(before + proto.raw_data + b"behind")
    stamp = FileStamp.of(path.stat())
    return ExternalTensor(path, len(before), array.shape, proto.data_type, stamp)


def test_dtypes_of_small_floats_come_from_ml_dtypes() -> None:
    assert dtype_of(onnx.TensorProto.BFLOAT16) == ml_dtypes.bfloat16
    assert dtype_of(onnx.TensorProto.INT4) == ml_dtypes.int4
    assert dtype_of(onnx.TensorProto.FLOAT8E4M3FN) == ml_dtypes.float8_e4m3fn


@pytest.mark.parametrize("elem_type", [0, 99, -1])
def test_an_unknown_type_is_refused(elem_type: int) -> None:
    with pytest.raises(ModelError, match="unknown"):
        dtype_of(elem_type)


def test_weights_are_floating_point_or_quantized() -> None:
    names = {TYPE_NAMES[number] for number in TYPE_NAMES if is_weight_type(number)}
    assert {"FLOAT", "FLOAT8E4M3FN", "INT8", "UINT8", "INT16", "UINT4", "INT2"} <= names
    assert not names & {"INT32", "INT64", "UINT32", "UINT64", "BOOL", "STRING", "UNDEFINED"}


def test_only_floating_point_counts_as_float() -> None:
    names = {TYPE_NAMES[number] for number in TYPE_NAMES if is_float_type(number)}
    assert {"FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "FLOAT8E5M2", "FLOAT4E2M1"} <= names
    assert not names & {"INT8", "UINT8", "INT64", "INT4", "BOOL", "STRING", "UNDEFINED"}


@pytest.mark.parametrize("elem_type", NUMBERS, ids=TYPE_NAMES.__getitem__)
@pytest.mark.parametrize("shape", [SHAPE, (), (0, 4)], ids=str)
def test_all_kinds_hold_every_type(elem_type: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    array = array_of(elem_type, shape)
    proto = onnx.numpy_helper.from_array(array, "w")
    for tensor in (InlineTensor(proto), external(tmp_path, array), ArrayTensor.of(array)):
        assert (tensor.shape, tensor.elem_type) == (shape, elem_type)
        assert tensor.dtype == array.dtype
        assert tensor.size == array.size
        assert tensor.nbytes == len(tensor.raw()) == packed_nbytes(elem_type, array.size)
        assert tensor.raw() == proto.raw_data
        assert tensor.numpy().dtype == array.dtype
        np.testing.assert_array_equal(tensor.numpy(), array)
        assert tensor.to_proto("w") == proto
        assert tensor.is_external == isinstance(tensor, ExternalTensor)


@pytest.mark.parametrize(("name", "nbytes"), [("INT4", 8), ("UINT8", 15), ("FLOAT", 60)])
def test_small_types_are_packed(name: str, nbytes: int) -> None:
    assert packed_nbytes(onnx.TensorProto.DataType.Value(name), 15) == nbytes


@pytest.mark.parametrize("elem_type", NUMBERS, ids=TYPE_NAMES.__getitem__)
def test_data_in_typed_fields_is_read_too(elem_type: int) -> None:
    array = array_of(elem_type)
    proto = onnx.helper.make_tensor("w", elem_type, SHAPE, array.reshape(-1).tolist())
    assert not proto.HasField("raw_data")
    tensor = InlineTensor(proto)
    np.testing.assert_array_equal(tensor.numpy(), array)
    assert tensor.raw() == ArrayTensor.of(array).raw()


def test_strings_have_no_raw_form() -> None:
    array = np.array([["a", "äö"]], dtype=object)
    proto = onnx.numpy_helper.from_array(array, "s")
    kinds: tuple[Tensor, ...] = (InlineTensor(proto), ArrayTensor.of(array))
    for tensor in kinds:
        assert tensor.numpy().tolist() == [["a", "äö"]]
        assert tensor.nbytes == 5
        assert tensor.to_proto("s") == proto
        with pytest.raises(ModelError, match="raw"):
            tensor.raw()


def test_inline_keeps_every_field_and_shares_nothing() -> None:
    proto = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "old")
    proto.doc_string = "why"
    proto.metadata_props.add(key="k", value="v")
    copy = InlineTensor(proto).to_proto("new")
    assert (copy.name, copy.doc_string, copy.metadata_props[0].value) == ("new", "why", "v")
    copy.raw_data = b""
    assert len(proto.raw_data) == 12
    assert proto.name == "old"


def test_undecodable_data_is_a_model_error() -> None:
    proto = onnx.TensorProto(name="w", dims=[3], data_type=onnx.TensorProto.FLOAT, raw_data=b"123")
    with pytest.raises(ModelError, match="'w'"):
        InlineTensor(proto).numpy()


def test_an_array_is_protected_without_touching_the_original() -> None:
    array = np.zeros(3, np.float32)
    tensor = ArrayTensor.of(array)
    with pytest.raises(ValueError, match="read-only"):
        tensor.numpy()[0] = 1
    array[0] = 1
    assert array.flags.writeable


def test_a_sliced_array_is_written_in_its_own_order() -> None:
    array = np.arange(12, dtype=np.float16).reshape(3, 4).T[::2]
    np.testing.assert_array_equal(
        onnx.numpy_helper.to_array(ArrayTensor.of(array).to_proto("w")), array
    )


def test_dtype_and_type_must_agree() -> None:
    with pytest.raises(InternalError, match="float64"):
        ArrayTensor(np.zeros(3), onnx.TensorProto.FLOAT)
    with pytest.raises(InternalError, match="datetime64"):
        ArrayTensor.of(np.zeros(3, "datetime64[s]"))


def test_external_data_is_not_cached(tmp_path: Path) -> None:
    tensor = external(tmp_path, array_of(onnx.TensorProto.FLOAT))
    assert tensor.numpy() is not tensor.numpy()


@pytest.mark.parametrize("change", ["replaced", "cut", "gone", "linked"])
def test_external_data_that_changed_is_noticed(tmp_path: Path, change: str) -> None:
    tensor = external(tmp_path, array_of(onnx.TensorProto.FLOAT))
    content = tensor.path.read_bytes()
    if change == "cut":
        tensor.path.write_bytes(content[:-10])
    else:
        # Moved, not removed: the number of a removed file may be given out again.
        tensor.path.rename(tmp_path / "before")
    if change == "replaced":
        tensor.path.write_bytes(content)
    if change == "linked":
        tensor.path.symlink_to(tmp_path / "before")
    with pytest.raises(ModelError, match="external data"):
        tensor.numpy()
