"""How many weights become zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from onnxprune.passes.repair.least_squares import Array
from onnxprune.passes.schedule import left_after
from onnxprune.passes.sparsify.pattern import Pattern


@dataclass(frozen=True, slots=True)
class Amount:
    """How many zeros a weight gets.

    Attributes:
        zeros: their number, where there is no pattern.
        pattern: the pattern, if there is one.
        channels: what the layer sums over, for the pattern.
        below: a magnitude; what is smaller goes, whatever their number.
    """

    zeros: int = 0
    pattern: Pattern | None = None
    channels: int = 0
    below: float | None = None

    def after(self, way: float) -> Self:
        """The amount after a part of the way, in (0, 1], most of it at first; not for `below`."""
        left = left_after("cubic", 0.0, way)
        pattern = self.pattern and self.pattern.after("cubic", way)
        return replace(self, zeros=round(self.zeros * (1 - left)), pattern=pattern)

    def mask(self, scores: Array) -> Array:
        """Where zeros go by scores alone: the smallest, or those of each group of a pattern.

        Args:
            scores: ``[g, k, m]``, or of any shape without a pattern.

        Returns:
            Bool, true where weights go.
        """
        if self.below is not None:
            return np.asarray(scores < self.below)
        if self.pattern is None:
            return smallest(scores, self.zeros)
        order = self.pattern.order(self.channels, scores.shape[1])
        gone = np.zeros(scores.shape, np.bool_)
        gone[:, order] = self.pattern.smallest(scores[:, order])
        return gone


def smallest(scores: Array, count: int) -> Array:
    """A mask of the `count` smallest; of equals the first."""
    flat = scores.reshape(-1)
    if not 0 < count < flat.size:
        return np.full(scores.shape, count > 0)
    edge = np.partition(flat, count - 1)[count - 1]
    gone = flat < edge
    gone[np.flatnonzero(flat == edge)[: count - int(gone.sum())]] = True
    return np.asarray(gone.reshape(scores.shape))


def ranked(scores: Mapping[str, Array], share: float) -> dict[str, Amount]:
    """How many of the smallest of all each weight has.

    Args:
        scores: by weight.
        share: of all weights, which become zero.
    """
    flat = np.concatenate([array.reshape(-1) for array in scores.values()])
    gone = smallest(flat, round(share * flat.size))
    ends = np.cumsum([array.size for array in scores.values()])[:-1]
    counts = [int(part.sum()) for part in np.split(gone, ends)]
    return {name: Amount(count) for name, count in zip(scores, counts, strict=True)}
