"""Arrays that are read from files a few rows at a time.

An ``.npy`` file is a header and then the rows, one after the other; an ``.npz`` is a ZIP archive of
such files. Both are read forward from row to row, so that memory holds the rows asked for and never
the array. Nothing is unpickled, and no name in an archive is used as a path.
"""

from __future__ import annotations

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from lzma import LZMAError
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from onnxprune.errors import UsageError

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]
"""Numbers of rows, ascending."""
Opener = Callable[[], AbstractContextManager[IO[bytes]]]

_FAULTS = (
    *(OSError, EOFError, ValueError),
    *(zipfile.BadZipFile, zlib.error, LZMAError, NotImplementedError),
    *(TokenError, SyntaxError),  # of a header that is cut off
)
_BLOCK_BYTES = 1 << 20
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True, slots=True)
class Column(ABC):
    """An array with samples along its leading axis.

    Attributes:
        where: file and name, for messages.
        dtype: numpy dtype.
        shape: of the whole.
    """

    where: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @abstractmethod
    def chunks(self, rows: Iterable[Rows]) -> Iterator[Array]:
        """Read an array for each group of rows; the groups ascend, too.

        Raises:
            UsageError: the data cannot be read, or ends early.
        """


@dataclass(frozen=True, slots=True)
class LoadedColumn(Column):
    """An array that is loaded as one, for it is a batch.

    Attributes:
        load: gives it.
    """

    load: Callable[[], Array]

    def chunks(self, rows: Iterable[Rows]) -> Iterator[Array]:
        """Read them; see `Column.chunks`."""
        array = self.load().reshape(self.shape)
        return (array[group] for group in rows)


@dataclass(frozen=True, slots=True)
class FileColumn(Column):
    """An array in the form of ``.npy``.

    Attributes:
        opened: opens the file, or the member of an archive.
        start: byte at which row 0 begins.
        archived: whether it is the member of an archive, whose checksum is checked at its end: but
            only if all of it was read.
    """

    opened: Opener
    start: int
    archived: bool = False

    def chunks(self, rows: Iterable[Rows]) -> Iterator[Array]:
        """Read them; see `Column.chunks`."""
        with reading(self.where), self.opened() as file:
            for group in rows:
                yield self._read(file, group)

    def between(self, first: int, stop: int) -> FileColumn:
        """Some of the rows, as a column of their own."""
        start = self.start + first * self._row_bytes
        return replace(self, start=start, shape=(stop - first, *self.shape[1:]))

    @property
    def _row_bytes(self) -> int:
        return self.dtype.itemsize * prod(self.shape[1:])

    def _read(self, file: IO[bytes], group: Rows) -> Array:
        data = bytearray()
        for row in group.tolist():
            self._go_to(file, self.start + row * self._row_bytes)
            data += file.read(self._row_bytes)
        if len(data) != len(group) * self._row_bytes:
            raise EOFError("it ends early")
        return np.frombuffer(data, self.dtype).reshape(len(group), *self.shape[1:])

    def _go_to(self, file: IO[bytes], place: int) -> None:
        if not self.archived:
            file.seek(place)
            return
        while ahead := place - file.tell():
            if not file.read(min(ahead, _BLOCK_BYTES)):
                raise EOFError("it ends early")


@contextmanager
def reading(where: str) -> Generator[None]:
    """Tell of files that cannot be read."""
    try:
        yield
    except _FAULTS as error:
        raise UsageError(
            "the data cannot be read",
            where=where,
            why=str(error) or type(error).__name__,
            hint="the file may be incomplete or damaged: compare its size with the original",
        ) from error


def npy_column(path: Path) -> FileColumn:
    """The array in an ``.npy`` file.

    Raises:
        UsageError: it cannot be read row by row.
    """
    with reading(str(path)):
        return _column(str(path), partial(_file, path), path.stat().st_size)


def npz_columns(path: Path) -> dict[str, Callable[[], FileColumn]]:
    """The arrays in an ``.npz`` file by name; their headers are read when they are called for.

    Raises:
        UsageError: it is no such file, or two arrays have one name.
    """
    with reading(str(path)), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    names = [info.filename.removesuffix(".npy") for info in members]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two arrays have the name {twice[0]!r}", where=str(path))
    return {
        name: partial(_member_column, path, info) for name, info in zip(names, members, strict=True)
    }


def _member_column(path: Path, info: zipfile.ZipInfo) -> FileColumn:
    where = f"{path}, array {info.filename.removesuffix('.npy')!r}"
    with reading(where):
        if info.flag_bits & 1:
            raise ValueError("it is encrypted")
        column = _column(where, partial(_member, path, info.filename), info.file_size)
        return replace(column, archived=True)


def _file(path: Path) -> IO[bytes]:
    return path.open("rb")


@contextmanager
def _member(path: Path, name: str) -> Generator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        yield file


def _column(where: str, opened: Opener, size_bytes: int) -> FileColumn:
    with opened() as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"it has version {version} of the format, not 1.0 or 2.0")
        shape, by_columns, dtype = _HEADERS[version](file)
        start = file.tell()
    if dtype.hasobject:
        raise UsageError(
            "the array holds Python objects",
            where=where,
            why="they are pickled, and to load a pickle is to run what is in it",
            hint="save it with a numeric dtype",
        )
    if by_columns:
        raise UsageError(
            "the array lies in the file column by column",
            where=where,
            why="its samples cannot be read one by one",
            hint="save np.ascontiguousarray(array)",
        )
    if size_bytes < start + dtype.itemsize * prod(shape):
        raise EOFError("it ends early")
    return FileColumn(where, dtype, shape, opened, start)
