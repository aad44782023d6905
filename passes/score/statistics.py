"""What flows along the channels of a model: sums over calibration data, channel by channel.

They stream: memory is bounded by one batch, however large the data is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.analysis import Analysis
from onnxprune.data.batches import Batch
from onnxprune.errors import UsageError
from onnxprune.ir.model import Model
from onnxprune.ir.sums import Axis, with_moments, with_sums
from onnxprune.verify.sessions import session_of

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over all else of each index of an axis, shape ``[n]`` each.

    Attributes:
        count: elements that each sum is over.
        total: of the values.
        size: of the absolute values.
        squares: of the squares.
        zeros: how many are exactly zero.
    """

    count: float
    total: Array
    size: Array
    squares: Array
    zeros: Array

    def __add__(self, other: Sums) -> Sums:
        """The sums over both."""
        return Sums(
            self.count + other.count,
            self.total + other.total,
            self.size + other.size,
            self.squares + other.squares,
            self.zeros + other.zeros,
        )

    @property
    def variance(self) -> Array:
        """Of the values."""
        return np.maximum(self.squares / self.count - np.square(self.total / self.count), 0.0)


def collect_sums(
    analysis: Analysis, wanted: Collection[Axis], data: Iterable[Batch]
) -> dict[Axis, Sums]:
    """Run a model over data and add up what flows along some axes.

    Args:
        analysis: the model.
        wanted: activations of the main graph and axes of them.
        data: inputs of the model.

    Raises:
        UsageError: there is no data.
        RuntimeFailureError: ONNX Runtime cannot run the model.
    """
    model, outputs = with_sums(*_asked(analysis, wanted))
    found: dict[Axis, Sums] = {}
    with session_of(model) as session:
        for batch in data:
            results = session.run(batch.feeds)
            for axis, names in outputs.items():
                count, *sums = (results[name].astype(np.float64) for name in names)
                new = Sums(float(count) / sums[0].size, *(part.reshape(-1) for part in sums))
                found[axis] = found[axis] + new if axis in found else new
    if not found:
        raise UsageError("the calibration data holds no samples")
    return found


def collect_moments(
    analysis: Analysis, wanted: Collection[Axis], data: Iterable[Batch]
) -> dict[Axis, Array]:
    """Mean second moments along some axes, ``[n, n]`` each.

    Args:
        analysis: the model.
        wanted: activations of the main graph and axes of them.
        data: inputs of the model.

    Raises:
        UsageError: there is no data.
        RuntimeFailureError: ONNX Runtime cannot run the model.
    """
    model, outputs = with_moments(*_asked(analysis, wanted))
    counts = dict.fromkeys(outputs, 0.0)
    sums: dict[Axis, Array] = {}
    with session_of(model) as session:
        for batch in data:
            results = session.run(batch.feeds)
            for axis, (size, moments) in outputs.items():
                new = results[moments].astype(np.float64)
                counts[axis] += float(results[size]) / len(new)
                sums[axis] = sums[axis] + new if axis in sums else new
    if not sums:
        raise UsageError("the calibration data holds no samples")
    return {axis: moments / counts[axis] for axis, moments in sums.items()}


def _asked(
    analysis: Analysis, wanted: Collection[Axis]
) -> tuple[Model, Collection[Axis], dict[str, int], dict[str, int]]:
    ranks = {name: len(analysis.values[name].shape) for name, _ in wanted}
    return analysis.canonical.model, wanted, ranks, analysis.canonical.facts.elem_types
