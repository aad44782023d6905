"""Random numbers, samples to fit to, and how far a result's outputs are from the original's."""

from __future__ import annotations

import numpy as np

from onnxprune.data.batches import Batch
from onnxprune.pipelines.result import Result
from tests.texts import f32

RNG = np.random.default_rng(0)
"""Begins anew with each test, so it may be drawn from inside tests only."""
_FRESH = RNG.bit_generator.state


def begin_anew() -> None:
    """Let the same numbers follow as at first."""
    RNG.bit_generator.state = _FRESH


def batches(shape: tuple[int, ...], count: int = 8, size: int = 16) -> list[Batch]:
    """Sets of samples of this shape for an input `x`."""
    sets = (RNG.standard_normal((size, *shape)) for _ in range(count))
    return [Batch({"x": f32(x)}, None, size) for x in sets]


def deviation(result: Result, data: list[Batch]) -> float:
    """Squared deviation of the only output, as a share."""
    (fidelity,) = result.fidelity([batch.feeds for batch in data]).values()
    return float(10 ** (-fidelity.sqnr_db / 10))
