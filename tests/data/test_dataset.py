"""Data sets: batches, subsets, memory, and what does not fit a model."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxprune as op
from onnxprune.errors import UsageError
from tests.data.sources import XY, Array, X, all_numbers, declared, numbered, numbers
from tests.texts import model_of


@pytest.fixture
def stacked(tmp_path: Path) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, x=numbered(10, 3), y=np.arange(10))
    return path


def test_batches_in_order_with_labels(stacked: Path) -> None:
    data = op.open_data(stacked, X, batch=4, labels="y")
    batches = list(data)
    assert [batch.size for batch in batches] == [4, 4, 2]
    assert [batch.feeds["x"].shape for batch in batches] == [(4, 3), (4, 3), (2, 3)]
    for batch in batches:
        assert batch.labels is not None
        assert batch.labels.tolist() == batch.feeds["x"][:, 0].tolist()
    assert (data.samples, data.dropped, data.size) == (10, 0, 4)
    assert numbers(data) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_without_labels_there_are_none(stacked: Path) -> None:
    assert all(batch.labels is None for batch in op.open_data(stacked, X))


def test_subsets_follow_the_seed_and_keep_the_order(stacked: Path) -> None:
    subsets = [all_numbers(op.open_data(stacked, X, limit=4, seed=seed)) for seed in range(20)]
    assert all(len(set(subset)) == 4 and subset == sorted(subset) for subset in subsets)
    assert len({tuple(subset) for subset in subsets}) > 10
    assert {number for subset in subsets for number in subset} == set(range(10))
    again = op.open_data(stacked, X, limit=4, seed=0)
    assert all_numbers(again) == all_numbers(again) == subsets[0]


def test_a_limit_above_the_size_takes_all(stacked: Path) -> None:
    for limit in (10, 11, None):
        assert op.open_data(stacked, X, limit=limit).samples == 10


def test_a_fixed_leading_axis_sets_the_size_and_drops_the_rest(stacked: Path) -> None:
    data = op.open_data(stacked, [declared("x", 4, 3)])
    assert numbers(data) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert (data.size, data.dropped, data.samples) == (4, 2, 10)


def test_too_few_samples_for_a_fixed_size_are_refused(stacked: Path) -> None:
    data = op.open_data(stacked, [declared("x", 16, 3)])
    with pytest.raises(UsageError, match="does not fill a batch") as caught:
        list(data)
    assert "takes 16 samples at once, and there are 10" in caught.value.why


def test_a_pair_of_inputs_has_one_shape(stacked: Path) -> None:
    def pair(inputs: Any = X, **options: Any) -> list[list[int]]:
        sets = op.open_data(stacked, inputs, **options).pair()
        return [feeds["x"].reshape(-1, 3)[:, 0].astype(int).tolist() for feeds in sets]

    assert pair() == [[0, 1], [2, 3]]
    assert pair(batch=1) == [[0], [1]]
    assert pair([declared("x", 4, 3)]) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert pair([declared("x", 3)], batch=None) == [[0], [1]]
    assert pair([declared("x", 8, 3)]) == []
    assert pair(limit=3) == []
    lengths = ({"x": numbered(1, length)} for length in (2, 5))
    uneven = op.open_data(lambda: lengths, [declared("x", "N", "L")], batch=1)
    assert uneven.pair() == []


def test_data_without_samples_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=np.zeros((0, 3), np.float32))
    with pytest.raises(UsageError, match="holds no samples"):
        list(op.open_data(tmp_path / "e.npz", X))


def test_inputs_without_a_common_axis_are_fed_whole(tmp_path: Path) -> None:
    inputs = [declared("x", "N", 5), declared("state", 2, "N", 4), declared("rate", dtype=np.int64)]
    arrays: dict[str, Array] = {
        "x": numbered(3, 1, 5),
        "state": numbered(3, 2, 1, 4),
        "rate": np.arange(3),
    }
    np.savez(tmp_path / "d.npz", **arrays, label=np.arange(3))  # type: ignore[arg-type]
    batches = list(op.open_data(tmp_path / "d.npz", inputs, labels="label"))
    assert [batch.feeds["x"].shape for batch in batches] == [(1, 5)] * 3
    assert [batch.feeds["state"].shape for batch in batches] == [(2, 1, 4)] * 3
    assert [batch.feeds["rate"].tolist() for batch in batches] == [0, 1, 2]
    labels = [batch.labels for batch in batches if batch.labels is not None]
    assert [label.tolist() for label in labels] == [[0], [1], [2]]


def test_whole_feeds_can_be_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", numbered(2, 3, 4))
    batches = list(op.open_data(tmp_path / "x.npy", [declared("x", 3, 4)], batch=None))
    assert [batch.feeds["x"].shape for batch in batches] == [(3, 4), (3, 4)]


def test_a_model_declares_its_inputs(stacked: Path) -> None:
    model = model_of("g (float[N,3] x) => (float[N,2] z) { z = MatMul(x, w) }", {"w": (3, 2)})
    assert op.open_data(stacked, model).samples == 10


@pytest.mark.parametrize("store", [np.savez, np.savez_compressed])
def test_memory_is_bounded_by_a_batch(tmp_path: Path, store: Any) -> None:
    x = np.arange(256 * 32768).reshape(256, 32768).astype(np.uint8).astype(np.float16)  # 16 MB
    store(tmp_path / "big.npz", x=x)
    expected = float(x[-4:].astype(np.float64).sum())
    del x
    tracemalloc.start()
    last = 0.0
    for batch in op.open_data(tmp_path / "big.npz", [declared("x", "N", 32768)], batch=4):
        last = float(batch.feeds["x"].astype(np.float64).sum())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last == expected
    assert peak < 4 << 20


@pytest.mark.parametrize(("batch", "limit"), [(0, 1), (-1, 1), (1, 0), (1, -2)])
def test_numbers_that_make_no_sense_are_refused(stacked: Path, batch: int, limit: int) -> None:
    with pytest.raises(UsageError, match="are above 0"):
        op.open_data(stacked, X, batch=batch, limit=limit)


def test_a_model_without_inputs_is_refused(stacked: Path) -> None:
    with pytest.raises(UsageError, match="no inputs"):
        op.open_data(stacked, [])


def test_several_inputs_need_as_many_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", a=numbered(4, 3), b=np.arange(5))
    with pytest.raises(UsageError, match="same number of samples") as caught:
        op.open_data(tmp_path / "d.npz", XY)
    assert caught.value.why == "4 for 'a', 5 for 'b'"


def test_there_must_be_a_label_for_each_sample(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=numbered(4, 3), y=np.arange(5))
    with pytest.raises(UsageError, match="one label for each sample") as caught:
        op.open_data(tmp_path / "d.npz", X, labels="y")
    assert "array 'y'" in caught.value.where
    assert caught.value.why == "its shape is [5], and there are 4 samples"
