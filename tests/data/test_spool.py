"""Things kept in files."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from onnxprune.data.batches import Batch
from onnxprune.data.spool import spool, spooled


def test_things_come_back_in_order_as_often_as_needed(tmp_path: Path) -> None:
    made: list[int] = []

    def items() -> Iterator[Batch]:
        for place in range(3):
            made.append(place)
            yield Batch({"x/y": np.full((2, 2), place, np.float16)}, np.array([place]), 2)

    one = spool(items(), tmp_path)
    other = pickle.loads(pickle.dumps(one))
    for _ in range(2):
        for kept in (one, other):
            assert [int(b.feeds["x/y"][0, 0]) for b in kept] == [0, 1, 2]
            assert len(kept) == 3
    assert made == [0, 1, 2]
    assert next(iter(one)).feeds["x/y"].dtype == np.float16


def test_the_files_go_when_they_are_not_needed() -> None:
    with spooled([1, 2]) as kept:
        assert list(kept) == [1, 2]
    assert not kept.folder.exists()
