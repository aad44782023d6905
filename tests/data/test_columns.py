"""Arrays in files, row by row, and files that are not what they should be."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxprune.data.columns import Column, npy_column, npz_columns
from onnxprune.errors import UsageError
from tests.data.sources import Array, numbered

ROWS = [np.array([0, 2]), np.array([3]), np.array([7, 8, 9])]


def saved(path: Path, array: Array) -> Column:
    """The array, stored, compressed or on its own, by the name of the file."""
    if path.suffix == ".npy":
        np.save(path, array)
        return npy_column(path)
    (np.savez_compressed if "packed" in path.name else np.savez)(path, a=array)
    return npz_columns(path)["a"]()


FILES = ["a.npy", "stored.npz", "packed.npz"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "array",
    [
        numbered(10, 2, 3),
        np.arange(10, dtype=">i8"),
        np.array([f"t{i}" for i in range(10)]),
        np.zeros((10, 0), np.float32),
    ],
)
def test_rows_are_read(tmp_path: Path, name: str, array: Array) -> None:
    column = saved(tmp_path / name, array)
    assert (column.dtype, column.shape) == (array.dtype, array.shape)
    for _ in range(2):
        found = list(column.chunks(ROWS))
        assert all(np.array_equal(a, array[rows]) for a, rows in zip(found, ROWS, strict=True))


def test_columns_are_cut(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(10))
    column = npy_column(tmp_path / "a.npy").between(4, 8)
    assert column.shape == (4,)
    assert [a.tolist() for a in column.chunks([np.array([0, 3])])] == [[4, 7]]


def test_keys_are_names_and_no_paths(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"../../x:0": numbered(2, 1)})  # type: ignore[arg-type]
    columns = npz_columns(tmp_path / "a.npz")
    assert list(columns) == ["../../x:0"]
    assert columns["../../x:0"]().shape == (2, 1)


def refused(read: Callable[[], object], where: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read()
    assert str(where) in caught.value.where
    return caught.value


@pytest.mark.parametrize("name", FILES)
def test_pickles_are_not_loaded(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    error = refused(lambda: saved(path, np.array([{}, None], object)), path)
    assert error.message == "the array holds Python objects"
    assert "to load a pickle is to run what is in it" in error.why


@pytest.mark.parametrize("name", FILES)
def test_arrays_by_columns_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    error = refused(lambda: saved(path, numbered(4, 3).T), path)
    assert error.message == "the array lies in the file column by column"
    assert error.hint == "save np.ascontiguousarray(array)"


def test_a_truncated_npy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, numbered(10, 3))
    path.write_bytes(path.read_bytes()[:-1])
    error = refused(lambda: npy_column(path), path)
    assert (error.message, error.why) == ("the data cannot be read", "it ends early")


def test_an_npy_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, numbered(10, 3))
    column = npy_column(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(lambda: list(column.chunks(ROWS)), path).why == "it ends early"


@pytest.mark.parametrize("content", [b"", b"not numpy", b"\x93NUMPY\x01\x00\x05\x00{'a':"])
def test_what_is_no_npy_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    assert refused(lambda: npy_column(path), path).message == "the data cannot be read"


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x03\x00" + bytes(64))
    assert "version (3, 0)" in refused(lambda: npy_column(path), path).why


def test_a_truncated_or_foreign_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=numbered(100, 3))
    for content in (path.read_bytes()[:-30], b"", b"hello"):
        path.write_bytes(content)
        assert refused(lambda: npz_columns(path), path).message == "the data cannot be read"


@pytest.mark.parametrize("name", ["stored.npz", "packed.npz"])
def test_a_damaged_npz_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rng = np.random.default_rng(0)
    column = saved(path, rng.standard_normal((50, 100)))
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 2, len(content) // 2 + 64):
        content[at] ^= 0xFF
    path.write_bytes(bytes(content))
    error = refused(lambda: list(column.chunks([np.arange(50)])), path)
    assert error.message == "the data cannot be read"
    assert "array 'a'" in error.where


def test_an_encrypted_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=numbered(3, 3))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    assert refused(lambda: npz_columns(path)["a"](), path).why == "it is encrypted"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")
        archive.writestr("a.npy", b"")
    assert refused(lambda: npz_columns(path), path).message == "two arrays have the name 'a'"


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    assert "No such file" in refused(lambda: npy_column(path), path).why
