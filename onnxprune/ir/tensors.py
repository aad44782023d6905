"""Constants that are read when they are needed, and not before.

A `Tensor` knows its shape and element type at no cost. Its data is read by each call of
`numpy` and belongs to the caller: a model of many gigabytes is handled a tensor at a time.
"""

import math
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper

from onnxprune.errors import InternalError, ModelError
from onnxprune.ir.elements import PACKED_BITS, TYPE_NAMES, dtype_of, elem_type_of, packed_nbytes


class Tensor(ABC):
    """One constant of a model; immutable, hence shared freely between models."""

    __slots__ = ()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis; `()` for a scalar."""

    @property
    @abstractmethod
    def elem_type(self) -> int:
        """The element type, a number of `onnx.TensorProto.DataType`."""

    @abstractmethod
    def numpy(self) -> npt.NDArray[Any]:
        """Reads the data now and returns it, shaped `shape` and typed `dtype`.

        Nothing is cached. The array may be read-only: copy it before changing it.

        Raises:
            ModelError: The data cannot be read.
        """

    @abstractmethod
    def raw(self) -> bytes:
        """Reads the data now, as ONNX stores it: little-endian, small types packed.

        Raises:
            ModelError: The data cannot be read, or has no such form (strings).
        """

    @abstractmethod
    def fill(self, target: onnx.TensorProto) -> None:
        """Makes `target` a copy of this tensor, with all data inline.

        Args:
            target: An empty tensor; its name is left to the caller.

        Raises:
            ModelError: The data cannot be read.
        """

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype of `numpy()`, one of `ml_dtypes` where numpy has none."""
        return dtype_of(self.elem_type)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of data as ONNX stores it; small types count as packed."""
        return packed_nbytes(self.elem_type, self.size)

    @property
    def is_external(self) -> bool:
        """Whether the data lies in a file of its own."""
        return False

    def to_proto(self, name: str) -> onnx.TensorProto:
        """Returns a new tensor with all data inline.

        Args:
            name: Name to give it.

        Raises:
            ModelError: The data cannot be read.
        """
        proto = onnx.TensorProto()
        self.fill(proto)
        proto.name = name
        return proto


@dataclass(frozen=True, slots=True, eq=False)
class InlineTensor(Tensor):
    """A constant whose data lies in the model file; keeps every field of the original.

    Attributes:
        proto: The original tensor. It is shared, never changed.
    """

    proto: onnx.TensorProto

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis; `()` for a scalar."""
        return tuple(self.proto.dims)

    @property
    def elem_type(self) -> int:
        """The element type, a number of `onnx.TensorProto.DataType`."""
        return self.proto.data_type

    @property
    def nbytes(self) -> int:
        """Bytes of data as ONNX stores it; for strings their UTF-8 bytes together."""
        if self.elem_type == onnx.TensorProto.STRING:
            return sum(len(text) for text in self.proto.string_data)
        return packed_nbytes(self.elem_type, self.size)

    def numpy(self) -> npt.NDArray[Any]:
        """Decodes the data; see `Tensor.numpy`."""
        try:
            array: npt.NDArray[Any] = onnx.numpy_helper.to_array(self.proto)
        except ValueError as error:
            raise ModelError(
                "the data of an initializer cannot be decoded",
                where=f"initializer {self.proto.name!r}",
                why=str(error),
            ) from error
        return array

    def raw(self) -> bytes:
        """Returns the stored bytes, or encodes them; see `Tensor.raw`."""
        if self.proto.HasField("raw_data"):
            return self.proto.raw_data
        return _encode(self.numpy(), self.elem_type)

    def fill(self, target: onnx.TensorProto) -> None:
        """Copies every field of the original, its doc string included."""
        target.CopyFrom(self.proto)


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What a file was when it was looked at, to notice that it is another one now.

    Attributes:
        device: Number of the device that holds it.
        inode: Its number on that device.
        size_bytes: Its size in bytes.
        modified_ns: When it was last written, in nanoseconds since the epoch.
    """

    device: int
    inode: int
    size_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileStamp":
        """Takes the stamp from what `os.stat` says.

        Args:
            status: The file's status.
        """
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True, eq=False)
class ExternalTensor(Tensor):
    """A constant whose data lies in another file, checked by `onnxprune.ir.load`.

    Attributes:
        path: Absolute path of the file.
        offset: Where the data begins, in bytes.
        dims: The tensor's shape.
        data_type: The element type, a number of `onnx.TensorProto.DataType`.
        stamp: The file as it was when the model was loaded.
    """

    path: Path
    offset: int
    dims: tuple[int, ...]
    data_type: int
    stamp: FileStamp

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis; `()` for a scalar."""
        return self.dims

    @property
    def elem_type(self) -> int:
        """The element type, a number of `onnx.TensorProto.DataType`."""
        return self.data_type

    @property
    def is_external(self) -> bool:
        """Always true."""
        return True

    def numpy(self) -> npt.NDArray[Any]:
        """Reads the data; see `Tensor.numpy`."""
        if self.data_type in PACKED_BITS:
            return InlineTensor(self.to_proto("")).numpy()
        little = self.dtype.newbyteorder("<")
        return (
            np.frombuffer(self.raw(), dtype=little)
            .reshape(self.dims)
            .astype(self.dtype, copy=False)
        )

    def raw(self) -> bytes:
        """Reads the bytes, if the file is still the one that was checked; see `Tensor.raw`."""
        length = self.nbytes
        # The check at load time is worth nothing if a link is put there afterwards.
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            with open(os.open(self.path, flags), "rb") as file:
                same = FileStamp.of(os.fstat(file.fileno())) == self.stamp
                file.seek(self.offset)
                data = file.read(length) if same else b""
        except OSError as error:
            raise ModelError(
                "external data cannot be read", where=str(self.path), why=str(error)
            ) from error
        if not same or len(data) != length:
            raise ModelError(
                "external data changed after the model was loaded",
                where=str(self.path),
                why="the file was replaced or written to in the meantime",
                hint="load the model again, and write results to another name",
            )
        return data

    def fill(self, target: onnx.TensorProto) -> None:
        """Reads the data into `target`; see `Tensor.fill`."""
        target.Clear()
        target.dims.extend(self.dims)
        target.data_type = self.data_type
        target.raw_data = self.raw()


@dataclass(frozen=True, slots=True, eq=False)
class ArrayTensor(Tensor):
    """A constant that was computed and lies in memory.

    Attributes:
        array: The data, of the dtype that belongs to `data_type`; made read-only.
        data_type: The element type, a number of `onnx.TensorProto.DataType`.
    """

    array: npt.NDArray[Any]
    data_type: int

    def __post_init__(self) -> None:
        """Checks that dtype and element type agree, and protects the data."""
        if self.array.dtype != dtype_of(self.data_type):
            raise InternalError(
                "dtype and element type of a constant differ",
                why=f"{self.array.dtype} is not {TYPE_NAMES[self.data_type]}",
            )
        view = self.array.view()
        view.flags.writeable = False
        object.__setattr__(self, "array", view)

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> "ArrayTensor":
        """Makes a constant of an array, with the element type of its dtype.

        Args:
            array: Any dtype that ONNX has a type for, those of `ml_dtypes` included.

        Raises:
            InternalError: ONNX has no such element type.
        """
        return cls(array, elem_type_of(array.dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis; `()` for a scalar."""
        return tuple(self.array.shape)

    @property
    def elem_type(self) -> int:
        """The element type, a number of `onnx.TensorProto.DataType`."""
        return self.data_type

    @property
    def nbytes(self) -> int:
        """Bytes of data as ONNX stores it; for strings their UTF-8 bytes together."""
        if self.data_type == onnx.TensorProto.STRING:
            return InlineTensor(self.to_proto("")).nbytes
        return packed_nbytes(self.data_type, self.size)

    def numpy(self) -> npt.NDArray[Any]:
        """Returns the array itself, read-only."""
        return self.array

    def raw(self) -> bytes:
        """Encodes the data; see `Tensor.raw`."""
        return _encode(self.array, self.data_type)

    def fill(self, target: onnx.TensorProto) -> None:
        """Encodes the data into `target`; see `Tensor.fill`."""
        if self.data_type == onnx.TensorProto.STRING:
            target.CopyFrom(_from_array(self.array))
            return
        target.Clear()
        target.dims.extend(self.array.shape)
        target.data_type = self.data_type
        target.raw_data = self.raw()


def _from_array(array: npt.NDArray[Any]) -> onnx.TensorProto:
    proto: onnx.TensorProto = onnx.numpy_helper.from_array(array)
    return proto


def _encode(array: npt.NDArray[Any], elem_type: int) -> bytes:
    if elem_type == onnx.TensorProto.STRING:
        raise ModelError("strings have no raw form", why="ONNX stores them one by one")
    if elem_type in PACKED_BITS:
        return _from_array(array).raw_data
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
