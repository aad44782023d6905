"""How many weights go, and which of equals."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.passes.sparsify.amount import Amount, ranked, smallest
from onnxprune.passes.sparsify.methods import smallest_by_output
from onnxprune.passes.sparsify.pattern import Pattern
from tests.passes.samples import RNG
from tests.texts import f32


@pytest.mark.parametrize("count", [0, 1, 2, 17, 58, 59, 60])
def test_just_so_many_go_and_they_are_the_least(count: int) -> None:
    scores = RNG.standard_normal((3, 4, 5))
    gone = smallest(scores, count)
    assert gone.dtype == np.bool_
    assert gone.shape == scores.shape
    assert gone.sum() == count
    if 0 < count < 60:
        assert scores[gone].max() < scores[~gone].min()


@pytest.mark.parametrize("count", range(8))
def test_of_equals_the_first_go(count: int) -> None:
    scores = f32([2, 1, 1, 3, 1, 1, 2])
    order = [1, 2, 4, 5, 0, 6, 3]
    assert sorted(np.flatnonzero(smallest(scores, count))) == sorted(order[:count])


def test_zeros_are_the_least() -> None:
    weight = RNG.standard_normal(100)
    weight[::3] = 0
    assert (smallest(np.abs(weight), 34) == (weight == 0)).all()


def test_what_is_not_finite_is_the_largest() -> None:
    scores = f32([np.inf, 1, np.nan, 2])
    assert np.flatnonzero(smallest(scores, 2)).tolist() == [1, 3]


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 23, 24])
def test_as_many_of_each_output(count: int) -> None:
    scores = RNG.random((2, 4, 3))
    gone = smallest_by_output(scores, count)
    each = gone.sum(axis=1)
    assert gone.sum() == count
    assert each.max() - each.min() <= 1
    for group in range(2):
        for output in range(3):
            column, mask = scores[group, :, output], gone[group, :, output]
            assert sorted(column[mask]) == sorted(column)[: int(mask.sum())]


def test_ranked_together() -> None:
    scores = {"a": f32([[1, 8], [7, 2]]), "b": f32([3, 4, 9]), "c": f32([10.0])}
    amounts = ranked(scores, 0.5)
    assert {name: amount.zeros for name, amount in amounts.items()} == {"a": 2, "b": 2, "c": 0}
    assert {n: x.zeros for n, x in ranked(scores, 0.0).items()} == {"a": 0, "b": 0, "c": 0}


@pytest.mark.parametrize("share", np.linspace(0, 0.99, 12))
def test_together_they_are_as_many_as_asked(share: float) -> None:
    scores = {str(size): RNG.random(size).astype(np.float16) for size in (7, 130, 1, 64)}
    assert sum(amount.zeros for amount in ranked(scores, share).values()) == round(share * 202)


def test_a_bound_is_no_part_of_what_goes() -> None:
    assert Amount(below=0.5).mask(f32([0.25, 0.5, 0.75])).tolist() == [True, False, False]


def test_a_pattern_goes_before_a_number() -> None:
    gone = Amount(zeros=7, pattern=Pattern(2, 4), channels=4).mask(RNG.random((1, 4, 3)))
    assert gone.sum(axis=1).tolist() == [[2, 2, 2]]
