"""Things kept in files."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from onnxprune.data.batches import Batch
from onnxprune.data.spool import Spool, spooled


def test_things_come_back_in_order_as_often_as_needed(tmp_path: Path) -> None:
    made: list[int] = []

    def items() -> Iterator[Batch]:
        for place in range(3):
            made.append(place)
            yield Batch({"x/y": np.full((2, 2), place, np.float16)}, np.array([place]), 2)

    spool = Spool.of(items(), tmp_path)
    other = pickle.loads(pickle.dumps(spool))
    for _ in range(2):
        for one in (spool, other):
            assert [int(b.feeds["x/y"][0, 0]) for b in one] == [0, 1, 2]
            assert len(one) == 3
    assert made == [0, 1, 2]
    assert next(iter(spool)).feeds["x/y"].dtype == np.float16


def test_the_files_go_when_they_are_not_needed() -> None:
    with spooled([1, 2]) as spool:
        assert list(spool) == [1, 2]
    assert not spool.folder.exists()
