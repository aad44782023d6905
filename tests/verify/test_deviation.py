"""One tensor of two models, against its own variation."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.errors import UsageError
from onnxprune.verify.deviation import Noise, compare, noise_between
from onnxprune.verify.tolerance import Tolerances
from tests.texts import f32

FIRST, SECOND = f32([1, 2, 3]), f32([3, -1, 2])


def test_equal_tensors_that_vary() -> None:
    found = compare("x", [FIRST, SECOND], [FIRST, SECOND])
    assert (found.passed, found.reacts, found.max_abs) == (True, True, 0)


def test_a_tensor_that_does_not_vary_proves_nothing() -> None:
    found = compare("x", [FIRST, FIRST], [FIRST, FIRST])
    assert (found.passed, found.reacts) == (True, False)


def test_infinities_at_other_places_are_a_fault() -> None:
    wrong = f32([1, 2, np.inf])
    found = compare("x", [FIRST, SECOND], [wrong, SECOND])
    assert not found.passed


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_reference_that_overflows_may_do_so_elsewhere(value: float) -> None:
    """Whether rounding decides where, as here, a jitter tells."""
    reference, other = f32([1, 2, value]), f32([1, value, 3])
    found = compare("x", [reference, SECOND], [other, SECOND])
    assert (found.passed, found.overflows, found.max_abs) == (False, True, 0)
    assert noise_between(reference, other).overflows
    assert not noise_between(reference, reference + 1).overflows


def test_infinities_at_the_same_places_have_no_part_in_sizes() -> None:
    masked = f32([1, 2, -np.inf]), f32([3, 1, -np.inf])
    found = compare("x", masked, masked)
    assert (found.passed, found.reacts) == (True, True)


def test_other_shapes_are_a_fault() -> None:
    assert not compare("x", [FIRST, SECOND], [FIRST[:2], SECOND[:2]]).passed


def test_what_one_model_alone_computes_is_a_fault() -> None:
    found = compare("x", [FIRST, SECOND], [FIRST, f32([])])
    assert (found.passed, found.elsewhere, found.max_abs) == (False, True, 0)


def test_noise_is_told_where_it_leaves_numbers_finite() -> None:
    assert noise_between(FIRST, f32([1, 2.5, np.nan])) == Noise(0.5, overflows=True)
    assert noise_between(f32([np.inf, 2, 3]), FIRST) == Noise(0, overflows=True)
    assert noise_between(np.array([1, 2]), np.array([1, 3])) == Noise(0.5)
    assert noise_between(FIRST, FIRST[:2]) == Noise(np.inf)
    assert noise_between(FIRST, f32([])) == Noise(0, elsewhere=True)


def test_outliers_are_granted_up_to_their_share() -> None:
    first, second = (np.random.default_rng(k).standard_normal(1000).astype("f4") for k in (0, 1))
    few = first.copy()
    few[:5] += 9
    for share, passed in (("0.01", True), ("0.004", False)):
        found = compare("x", [first, second], [few, second], Tolerances.parse([f"1e-3:{share}"]))
        assert (found.passed, found.max_abs > 8) == (passed, True)


def test_tolerances_are_read() -> None:
    found = Tolerances.parse(["0.01", "float16=0.06:0.001"])
    assert found.of(np.dtype("f4")).relative == 0.01
    assert found.of(np.dtype("f4")).floor == pytest.approx(2e-4)
    assert (found.of(np.dtype("f2")).relative, found.of(np.dtype("f2")).outliers) == (0.06, 0.001)


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "1e-3:1", "1e-3:", "float=1", "f", "inf"])
def test_bad_tolerances_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no tolerance|there is no tolerance for 'float'"):
        Tolerances.parse([text])
