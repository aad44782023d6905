"""Two models on the same samples: who is right where."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Paired:
    """How often the original, the pruned model, both or neither are right.

    Attributes:
        both: number of samples that both have right.
        only_original: that only the original has right.
        only_pruned: that only the pruned model has right.
        neither: that both have wrong.
    """

    both: int = 0
    only_original: int = 0
    only_pruned: int = 0
    neither: int = 0

    @classmethod
    def of(cls, original: Truths, pruned: Truths) -> Paired:
        """Count them.

        Args:
            original: whether the original is right, for each sample.
            pruned: likewise.
        """
        return cls(
            *(_count(original & pruned), _count(original & ~pruned)),
            *(_count(~original & pruned), _count(~original & ~pruned)),
        )

    def __add__(self, other: Paired) -> Paired:
        """The counts over further samples."""
        return Paired(
            *(self.both + other.both, self.only_original + other.only_original),
            *(self.only_pruned + other.only_pruned, self.neither + other.neither),
        )

    @property
    def total(self) -> int:
        """Number of samples."""
        return self.both + self.only_original + self.only_pruned + self.neither

    @property
    def original(self) -> float:
        """Share that the original has right."""
        return (self.both + self.only_original) / self.total

    @property
    def pruned(self) -> float:
        """Share that the pruned model has right."""
        return (self.both + self.only_pruned) / self.total

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The confidence interval of the pruned model's share minus the original's.

        It rests on the samples that only one has right, as McNemar's test does. The interval is
        Wald's with half a sample added to each of the four counts: A. Agresti, Y. Min, Simple
        improved confidence intervals for comparing matched proportions, Statistics in Medicine 24
        (2005), 729-740.

        Args:
            confidence: coverage, in (0, 1).

        Returns:
            Both ends, in [-1, 1].
        """
        samples = self.total + 2
        change = (self.only_pruned - self.only_original) / samples
        differing = (self.only_pruned + self.only_original + 1) / samples
        reach = NormalDist().inv_cdf((1 + confidence) / 2)
        reach *= sqrt((differing - change**2) / samples)
        return max(change - reach, -1.0), min(change + reach, 1.0)


def _count(truths: npt.NDArray[Any]) -> int:
    return int(np.count_nonzero(truths))
