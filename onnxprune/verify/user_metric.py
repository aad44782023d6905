"""Metrics of the user's own.

Such a metric is a function of three arguments, called for each batch:

    def metric(outputs, reference, labels): ...

`outputs` and `reference` are dicts of arrays by output, of the model to judge and of the original;
`labels` is an array or None. It returns one number for each sample, or the mean over the batch, or
a pair of a sum and the weight of that sum. The metric's value is the sum over all batches divided
by the weight, which makes means over samples, tokens or pixels exact whatever the batches are. The
original is judged like the pruned model, with itself as the reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.data.user_code import UserFunction
from onnxprune.errors import UsageError
from onnxprune.verify.metrics import Metric, Score
from onnxprune.verify.scores import Outputs

Array = npt.NDArray[Any]


@dataclass(slots=True)
class UserMetric(Metric):
    """A function of the user's.

    Attributes:
        function: the function.
        sums: sum and weight for the original and for the pruned model.
    """

    function: UserFunction = field(kw_only=True)
    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 2)))

    def add(self, original: Outputs, pruned: Outputs, labels: Array | None, size: int) -> None:
        """Call the function for both models; see `Metric.add`."""
        judged = [self._judge(outputs, original, labels, size) for outputs in (original, pruned)]
        self.sums = self.sums + np.array(judged)

    def score(self, samples: int) -> Score:
        """The quotients; see `Metric.score`."""
        if not self.sums[:, 1].all():
            raise UsageError("the weights of the metric sum up to 0", where=self.name)
        original, pruned = (self.sums[:, 0] / self.sums[:, 1]).tolist()
        return Score(self.name, pruned, original, samples)

    def _judge(
        self, outputs: Outputs, reference: Outputs, labels: Array | None, size: int
    ) -> tuple[float, float]:
        made = self.function(dict(outputs), dict(reference), labels)
        numbers = _numbers(made)
        if isinstance(made, tuple) and numbers.shape == (2,):
            return float(numbers[0]), float(numbers[1])
        if numbers.shape not in ((), (size,)):
            raise UsageError(
                "the metric returns no numbers that can be added up",
                where=self.name,
                why=f"it returned {made!r:.80} for {size} samples",
                hint="return a number for each sample, their mean, or (sum, weight)",
            )
        return float(numbers.mean()) * size, float(size)


def _numbers(made: object) -> npt.NDArray[np.float64]:
    """What can be taken for numbers; without a shape that fits otherwise."""
    try:
        return np.asarray("" if made is None else made, dtype=np.float64)
    except (TypeError, ValueError):
        return np.zeros((0, 0))
