"""Metrics: how good the pruned model is, and the original, over any number of batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.errors import UsageError
from onnxprune.verify.fidelity import Closeness
from onnxprune.verify.paired import Paired
from onnxprune.verify.scores import Outputs, choices, paired_scores, right

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Score:
    """What a metric came to.

    Attributes:
        metric: its name.
        pruned: value of the pruned model.
        original: value of the original; None where it is what the pruned model is compared with.
        samples: number of samples.
        paired: who is right where, by rows of scores; None for metrics that know no right or wrong.
    """

    metric: str
    pruned: float
    original: float | None
    samples: int
    paired: Paired | None = None


@dataclass(slots=True)
class Metric(ABC):
    """A metric that batches are added to.

    Attributes:
        name: of the metric.
        output: name of the output that holds the scores; None for the only one that can.
    """

    name: str
    output: str | None = None

    @property
    def needs_labels(self) -> bool:
        """Whether labels must be given."""
        return False

    @abstractmethod
    def add(self, original: Outputs, pruned: Outputs, labels: Array | None, size: int) -> None:
        """Take a batch.

        Args:
            original: outputs of the original, by name.
            pruned: likewise, of the pruned model.
            labels: with samples along the leading axis.
            size: number of samples.

        Raises:
            UsageError: outputs or labels are not what the metric needs.
        """

    @abstractmethod
    def score(self, samples: int) -> Score:
        """The value over all batches.

        Args:
            samples: their number of samples, 1 or more.
        """


@dataclass(slots=True)
class TopK(Metric):
    """How often the label is among the `k` highest scores.

    Attributes:
        k: 1 or more.
        paired: counts so far.
    """

    k: int = 1
    paired: Paired = field(default_factory=Paired)

    @property
    def needs_labels(self) -> bool:
        """They are what is looked for."""
        return True

    def add(self, original: Outputs, pruned: Outputs, labels: Array | None, size: int) -> None:
        """Take a batch; see `Metric.add`."""
        if labels is None:
            raise UsageError(
                f"metric {self.name!r} needs labels",
                hint="name the array that holds them (--labels), or take 'agreement' or 'cosine'",
            )
        first, second = paired_scores(original, pruned, self.output)
        self.paired += Paired.of(right(first, labels, self.k), right(second, labels, self.k))

    def score(self, samples: int) -> Score:
        """The shares of both models; see `Metric.score`."""
        paired = self.paired
        return Score(self.name, paired.pruned, paired.original, samples, paired)


@dataclass(slots=True)
class Agreement(Metric):
    """How often both models give one class the highest score."""

    same: int = 0
    rows: int = 0

    def add(self, original: Outputs, pruned: Outputs, labels: Array | None, size: int) -> None:
        """Take a batch; see `Metric.add`."""
        first, second = map(choices, paired_scores(original, pruned, self.output))
        self.same += int(np.count_nonzero(first == second))
        self.rows += first.size

    def score(self, samples: int) -> Score:
        """The share; see `Metric.score`."""
        return Score(self.name, self.same / self.rows, None, samples)


@dataclass(slots=True)
class Cosine(Metric):
    """Cosine of the angle between both models' outputs, each taken as one vector."""

    closeness: Closeness = field(default_factory=Closeness)

    def add(self, original: Outputs, pruned: Outputs, labels: Array | None, size: int) -> None:
        """Take a batch; see `Metric.add` and, for values that are not finite, `Closeness`."""
        self.closeness.add(*paired_scores(original, pruned, self.output))

    def score(self, samples: int) -> Score:
        """The cosine; see `Metric.score`."""
        return Score(self.name, self.closeness.cosine, None, samples)
