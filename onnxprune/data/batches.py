"""Batches of one size out of pieces of any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.data.random import Feeds

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples.

    Attributes:
        feeds: arrays by input, with samples along the leading axis unless the model has none.
        labels: with samples along the leading axis; None if there are none.
        size: number of samples.
    """

    feeds: Feeds
    labels: Array | None
    size: int

    def alone(self) -> Batch:
        """A single sample as a feed without an axis for samples."""
        return Batch({name: array[0] for name, array in self.feeds.items()}, self.labels, 1)

    def arrays(self) -> list[Array]:
        """All arrays, those of the labels last."""
        return [*self.feeds.values(), *([] if self.labels is None else [self.labels])]


def regroup(pieces: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Batches of `size`, in the order of the pieces; smaller where samples of another shape follow.

    Args:
        pieces: of any size.
        size: number of samples, 1 or more.
    """
    held: list[Batch] = []
    for piece in pieces:
        if held and not _alike(held[0], piece):
            yield _joined(held)
            held = []
        held.append(piece)
        if sum(batch.size for batch in held) >= size:
            full = _joined(held)
            stop = full.size - full.size % size
            yield from (_cut(full, at, at + size) for at in range(0, stop, size))
            held = [_cut(full, stop, full.size)] if stop < full.size else []
    if held:
        yield _joined(held)


def _alike(one: Batch, other: Batch) -> bool:
    pairs = zip(one.arrays(), other.arrays(), strict=True)
    return all(a.shape[1:] == b.shape[1:] for a, b in pairs)


def _joined(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return Batch(
        {name: np.concatenate([b.feeds[name] for b in batches]) for name in batches[0].feeds},
        None
        if batches[0].labels is None
        else np.concatenate([b.labels for b in batches if b.labels is not None]),
        sum(batch.size for batch in batches),
    )


def _cut(batch: Batch, start: int, stop: int) -> Batch:
    feeds = {name: array[start:stop] for name, array in batch.feeds.items()}
    labels = None if batch.labels is None else batch.labels[start:stop]
    return Batch(feeds, labels, stop - start)
