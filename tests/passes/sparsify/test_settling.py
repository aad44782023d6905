"""What stays of a matrix beside its zeros, against the least squares of each column by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from onnxprune.passes.repair.least_squares import Moments
from onnxprune.passes.sparsify.amount import Amount
from onnxprune.passes.sparsify.methods import Method, adapted
from onnxprune.passes.sparsify.pattern import Pattern
from onnxprune.passes.sparsify.settling import settled
from tests.passes.samples import RNG

Array = npt.NDArray[Any]
DAMPING = 0.01
DRAWN = np.random.default_rng(0)
LOUD: Array = np.exp(DRAWN.normal(size=(2, 1, 12)))
READ: Array = DRAWN.normal(size=(2, 400, 12)) @ DRAWN.normal(size=(2, 12, 12)) * LOUD
"""Two groups of channels that say much of each other, some of them loud."""
WEIGHT: Array = DRAWN.normal(size=(2, 12, 5))
SECOND: Array = READ.swapaxes(1, 2) @ READ / 400
DAMPED: Array = (
    SECOND + DAMPING * np.eye(12) * np.einsum("gii->gi", SECOND).mean(axis=1)[:, None, None]
)


def loss(found: Array) -> float:
    apart = found - WEIGHT
    return float((apart * (DAMPED @ apart)).sum())


def test_what_stays_is_the_least_squares_of_each_column() -> None:
    there = RNG.random(WEIGHT.shape) < 0.5
    found = settled(np.where(there, WEIGHT, 0.0), WEIGHT, SECOND, DAMPING)
    assert not found[~there].any()
    for group in range(2):
        for column in range(5):
            rows = there[group, :, column]
            left = DAMPED[group][np.ix_(rows, rows)]
            right = (DAMPED[group] @ WEIGHT[group, :, column])[rows]
            best = np.linalg.solve(left, right)
            np.testing.assert_allclose(found[group, rows, column], best, rtol=1e-4, atol=1e-6)


def test_a_column_that_loses_all_stays_zero() -> None:
    found = settled(np.zeros_like(WEIGHT), WEIGHT, SECOND, DAMPING)
    assert not found.any()


@pytest.mark.parametrize(
    "amount",
    [Amount(60), Amount(90), Amount(pattern=Pattern(2, 4), channels=12)],
    ids=["half", "three quarters", "2:4"],
)
def test_second_order_choices_lose_less_than_magnitude(amount: Amount) -> None:
    moments = Moments()
    moments.add(READ, READ @ WEIGHT)

    def lost(method: Method) -> float:
        found = adapted(method, WEIGHT, moments, amount, DAMPING, centred=False)
        zeros = amount.zeros or WEIGHT.size // 2
        assert np.count_nonzero(found == 0) == zeros
        return loss(found)

    assert lost("sparsegpt") < lost("magnitude")


def test_without_correlation_the_others_stay_as_they_are() -> None:
    there = np.abs(WEIGHT) > 0.5
    alone = np.broadcast_to(np.eye(12), (2, 12, 12))
    kept = np.where(there, WEIGHT, 0.0)
    np.testing.assert_allclose(settled(kept, WEIGHT, alone, DAMPING), kept)
