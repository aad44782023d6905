"""What the channels of an axis hold: bounds, and numbers that are equal for equal functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
ONE = 0
"""The number of what is the same for all inputs and at all places."""


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """What is known of the indices of one axis of a tensor, shape ``[n]`` each.

    Attributes:
        axis: the axis.
        number: what the index holds, as a function of the inputs and of the place along the other
            axes; equal numbers, equal functions.
        factor: times which it holds that.
        low: no element is smaller.
        high: no element is larger.
    """

    axis: int
    number: npt.NDArray[np.int64]
    factor: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Which indices hold one number, their factor."""
        mask: npt.NDArray[np.bool_] = np.equal(self.number, ONE)
        return mask

    def taken(self, places: Array) -> Channels:
        """The indices at some places, which may repeat."""
        number, factor = self.number[places], self.factor[places]
        return Channels(self.axis, number, factor, self.low[places], self.high[places])

    def along(self, axis: int, number: Array | None = None) -> Channels:
        """The same of another axis; with other numbers, if given."""
        number = self.number if number is None else np.where(self.constant, ONE, number)
        return Channels(axis, number, self.factor, self.low, self.high)


def made(axis: int, number: Array, factor: Array, low: Array, high: Array) -> Channels:
    """Channels, of which those with one bound are constants."""
    fixed = (low == high) & np.isfinite(low)
    return Channels(axis, np.where(fixed, ONE, number), np.where(fixed, low, factor), low, high)


class Numbers:
    """Gives out numbers of functions; equal descriptions have equal numbers."""

    def __init__(self) -> None:
        """Begin after `ONE`."""
        self._known: dict[tuple[object, ...], int] = {}
        self._count = ONE

    def fresh(self, count: int) -> Array:
        """So many numbers that nothing has yet."""
        self._count += count
        return np.arange(self._count - count, self._count) + 1

    def of_rows(self, *columns: Sequence[object] | Array) -> Array:
        """The numbers of what the rows of a table describe."""
        lists = (
            column.tolist() if isinstance(column, np.ndarray) else column for column in columns
        )
        return np.array([self._of(row) for row in zip(*lists, strict=True)], dtype=np.int64)

    def _of(self, row: tuple[object, ...]) -> int:
        if row not in self._known:
            self._count += 1
            self._known[row] = self._count
        return self._known[row]
