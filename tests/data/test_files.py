"""Kinds of files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from onnxprune.data.dataset import open_data
from onnxprune.data.declared import DeclaredInput
from onnxprune.errors import UsageError
from tests.data.sources import XY, X, all_numbers, numbered, numbers, save_set


def refused(
    path: Path, inputs: Sequence[DeclaredInput] = X, labels: str | None = None
) -> UsageError:
    with pytest.raises(UsageError) as caught:
        open_data(path, inputs, labels=labels)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_single_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", numbered(3, 3))
    assert numbers(open_data(tmp_path / "images.npy", X)) == [[0, 1, 2]]


def test_a_file_for_each_input(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", numbered(5, 3))
    np.save(tmp_path / "b.npy", np.arange(5) * 2)
    np.save(tmp_path / "y.npy", np.arange(5) * 3)
    first, second = open_data(tmp_path, XY, batch=3, labels="y")
    assert first.feeds["b"].tolist() == [0, 2, 4]
    assert second.feeds["a"][:, 0].tolist() == [3, 4]
    assert second.labels is not None
    assert second.labels.tolist() == [9, 12]


def test_a_file_for_each_sample_in_natural_order(tmp_path: Path) -> None:
    for number in range(12):
        np.save(tmp_path / f"sample{number}.npy", numbered(12, 3)[number])
    np.save(tmp_path / "y.npy", np.arange(12) * 2)
    data = open_data(tmp_path, X, batch=5, labels="y")
    assert numbers(data) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    labels = [batch.labels.tolist() for batch in data if batch.labels is not None]
    assert labels == [[0, 2, 4, 6, 8], [10, 12, 14, 16, 18], [20, 22]]
    assert len(all_numbers(open_data(tmp_path, X, limit=4, labels="y"))) == 4


def test_files_of_stacks(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", numbered(8, 3)[:3])
    np.save(tmp_path / "two.npy", numbered(8, 3)[3:])
    assert numbers(open_data(tmp_path, X, batch=4)) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_archives_of_samples_and_stacks(tmp_path: Path) -> None:
    for number in range(3):
        np.savez(tmp_path / f"{number}.npz", x=np.full(3, number, np.float32), y=number)
    np.savez(tmp_path / "more.npz", x=numbered(5, 3)[3:], y=[3, 4])
    (batch,) = open_data(tmp_path, X, labels="y")
    assert batch.feeds["x"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert batch.labels is not None
    assert batch.labels.tolist() == [0, 1, 2, 3, 4]


def test_sets_by_index_and_by_name(tmp_path: Path) -> None:
    for number, names in ((0, ("", "")), (1, ("a", "b")), (10, ("t1", "t2"))):
        arrays = (numbered(2, 3), np.array([number, number]))
        save_set(tmp_path / f"test_data_set_{number}", list(zip(names, arrays, strict=True)))
    swapped = [("b", np.array([2, 2])), ("a", numbered(2, 3)), ("y", np.array([5, 6]))]
    save_set(tmp_path / "test_data_set_2", swapped)
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / "test_data_set_1" / "output_0.pb").write_bytes(b"nothing")
    (batch,) = open_data(tmp_path, XY)
    assert batch.feeds["b"].tolist() == [0, 0, 1, 1, 2, 2, 10, 10]
    assert batch.feeds["a"][:, 0].tolist() == [0, 1] * 4
    (batch,) = open_data(tmp_path / "test_data_set_2", XY, labels="y")
    assert batch.labels is not None
    assert batch.labels.tolist() == [5, 6]


def test_two_tensors_for_one_input_are_refused(tmp_path: Path) -> None:
    save_set(tmp_path / "test_data_set_0", [("b", np.array([1])), ("", np.array([1]))])
    assert refused(tmp_path, XY).message == "two files are for input 'b'"


def test_a_set_without_an_input_is_refused(tmp_path: Path) -> None:
    save_set(tmp_path / "test_data_set_0", [("", numbered(1, 3))])
    error = refused(tmp_path, XY)
    assert error.message == "the data has no array for input 'b'"
    assert error.where == str(tmp_path / "test_data_set_0")


def test_a_set_of_another_type_is_refused(tmp_path: Path) -> None:
    save_set(tmp_path / "test_data_set_0", [("", numbered(1, 3, dtype=np.int64))])
    error = refused(tmp_path)
    assert error.where == str(tmp_path / "test_data_set_0" / "input_0.pb")
    assert error.why.endswith("found int64 [1, 3]")


def test_labels_of_samples_in_files_must_fit_and_be_named(tmp_path: Path) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.zeros(3, np.float32))
    np.save(tmp_path / "labels.npy", np.arange(4))
    error = refused(tmp_path, labels="labels")
    assert error.why == "its shape is [4], and there are 3 samples"
    assert refused(tmp_path, labels="label").hint == "did you mean 'labels'?"
    error = refused(tmp_path)
    assert error.where == str(tmp_path / "labels.npy")
    assert "if it holds the labels, name it (--labels)" in error.hint


def test_folders_of_no_kind_and_of_two_are_refused(tmp_path: Path) -> None:
    (tmp_path / "read.me").touch()
    error = refused(tmp_path)
    assert error.message == "the folder does not say what the data is"
    assert error.why.startswith("it holds none of")
    np.save(tmp_path / "a.npy", numbered(1, 3))
    np.savez(tmp_path / "b.npz", x=numbered(1, 3))
    assert refused(tmp_path).why.startswith("it holds more than one kind of")


def test_paths_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    for name in ("a.npz", "nothing"):
        assert refused(tmp_path / name).message == "there is no such data"
    (tmp_path / "a.csv").touch()
    error = refused(tmp_path / "a.csv")
    assert error.message == "the data is of no kind that can be read"
    assert "an .npz, an .npy, or a folder" in error.hint
