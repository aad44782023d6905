"""Things kept in files of our own, to go through them again without making them again.

Reading a compressed archive, or calling a user's function, may take longer than the model.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spool(Generic[T]):
    """Things in a folder; other processes need no more than its name to read them.

    Attributes:
        folder: the folder, which nobody else writes to.
        count: how many there are.
    """

    folder: Path
    count: int

    def __len__(self) -> int:
        """How many there are."""
        return self.count

    def __iter__(self) -> Iterator[T]:
        """Go through them, one in memory at a time."""
        for place in range(self.count):
            with _path(self.folder, place).open("rb") as file:
                yield cast(T, pickle.load(file))


def spool(items: Iterable[T], folder: Path) -> Spool[T]:
    """Write things into an empty folder, one in memory at a time."""
    count = 0
    for item in items:
        with _path(folder, count).open("wb") as file:
            pickle.dump(item, file, protocol=pickle.HIGHEST_PROTOCOL)
        count += 1
    return Spool(folder, count)


@contextmanager
def spooled(items: Iterable[T]) -> Generator[Spool[T]]:
    """Keep things in a temporary folder meanwhile."""
    with TemporaryDirectory(prefix="onnxprune-") as folder:
        yield spool(items, Path(folder))


def _path(folder: Path, place: int) -> Path:
    return folder / f"{place:06d}.pickle"
