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
from onnxprune.ir.sums import Axis, Reduction, moments, sums, with_reduced
from onnxprune.progress import track
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

    @property
    def variance(self) -> Array:
        """Of the values."""
        return np.maximum(self.squares / self.count - np.square(self.total / self.count), 0.0)


def collect_sums(
    analysis: Analysis, wanted: Collection[Axis], data: Iterable[Batch]
) -> dict[Axis, Sums]:
    """Run a model over data and add up what flows along some axes; see `_collect`."""
    found = _collect(sums, analysis, wanted, data)
    return {axis: Sums(count, *map(np.ravel, parts)) for axis, (count, parts) in found.items()}


def collect_moments(
    analysis: Analysis, wanted: Collection[Axis], data: Iterable[Batch]
) -> dict[Axis, Array]:
    """Mean second moments along some axes, ``[n, n]`` each; see `_collect`."""
    found = _collect(moments, analysis, wanted, data)
    return {axis: total / count for axis, (count, (total,)) in found.items()}


def _collect(
    reduce: Reduction, analysis: Analysis, wanted: Collection[Axis], data: Iterable[Batch]
) -> dict[Axis, tuple[float, list[Array]]]:
    """Run a model over data and add up what is left of some activations.

    Args:
        reduce: what is left of them.
        analysis: the model.
        wanted: activations of the main graph and axes of them.
        data: inputs of the model.

    Returns:
        For each axis the number of elements that belong to one of its indices, and the totals.

    Raises:
        UsageError: there is no data.
        RuntimeFailureError: ONNX Runtime cannot run the model.
    """
    shapes = {name: analysis.values[name].shape for name, _ in wanted}
    ranks = {name: len(shape) for name, shape in shapes.items()}
    canonical = analysis.canonical
    types = canonical.facts.elem_types
    model, outputs = with_reduced(reduce, canonical.model, wanted, ranks, types)
    totals: dict[Axis, list[Array]] = {}
    with session_of(model) as session:
        for batch in track(data, "gathering statistics"):
            results = session.run(batch.feeds)
            for axis, names in outputs.items():
                new = [results[name].astype(np.float64) for name in names]
                old = totals.get(axis)
                totals[axis] = (
                    new if old is None else [a + b for a, b in zip(old, new, strict=True)]
                )
    if not totals:
        raise UsageError("the calibration data holds no samples")
    return {
        (name, axis): (float(size) / shapes[name][axis], parts)
        for (name, axis), (size, *parts) in totals.items()
    }
