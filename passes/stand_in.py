"""Random inputs that stand in for data."""

from __future__ import annotations

from collections.abc import Iterable

from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.inputs import input_specs
from onnxprune.data.batches import Batch
from onnxprune.data.random import random_sets, resized

RANDOM_SETS = 8
"""How many sets of random inputs stand in for data."""


def given_or_random(
    data: Iterable[Batch] | None, analysis: Analysis, seed: int = 0
) -> Iterable[Batch]:
    """The data, or random inputs of the right types and ranges where there is none."""
    return random_batches(analysis, RANDOM_SETS, seed) if data is None else data


def random_batches(
    analysis: Analysis, sets: int, seed: int = 0, batch: int | None = None
) -> list[Batch]:
    """Random inputs of the right types and ranges; see `data.random`.

    Args:
        analysis: the model.
        sets: how many for each combination of choices.
        seed: of the random numbers.
        batch: samples of each, where the batch is free; as analysed if None.
    """
    shapes = dict(analysis.canonical.inputs)
    sample, size = Sample.of(analysis), 1
    if batch is not None and sample.batch > 1:
        size = batch
        for name, shape in shapes.items():
            if list(shape) != sample.shapes[name]:
                shapes[name] = (batch, *shape[1:])
    specs = resized(input_specs(analysis), shapes)
    return [Batch(feeds, None, size) for feeds in random_sets(specs, sets, seed)]
