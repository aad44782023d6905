"""Least squares from moments: exact where it can be, and never worse on what was held out."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.passes.repair.least_squares import Array, Moments, fitted
from tests.passes.samples import RNG


def _moments(x: Array, y: Array) -> tuple[Moments, Moments]:
    """Three quarters of the rows to fit to, and the rest."""
    cut = 3 * x.shape[1] // 4
    parts = Moments(), Moments()
    for moments, chosen in zip(parts, (slice(cut), slice(cut, None)), strict=True):
        for start in range(0, cut, 10):  # in batches
            moments.add(x[:, chosen][:, start : start + 10], y[:, chosen][:, start : start + 10])
    return parts


def test_what_can_be_told_is_found() -> None:
    x = RNG.standard_normal((2, 400, 5))
    weight, bias = RNG.standard_normal((2, 5, 3)), RNG.standard_normal((2, 1, 3))
    fit = fitted(*_moments(x, x @ weight + bias), np.zeros_like(weight), np.zeros_like(bias))
    np.testing.assert_allclose(fit.weight, weight, atol=1e-3)
    np.testing.assert_allclose(fit.bias, bias, atol=1e-3)
    assert fit.after < 1e-6 < fit.before == pytest.approx(1.0)


def test_a_layer_without_a_bias_gets_none_unless_its_readers_shift() -> None:
    x = RNG.standard_normal((1, 400, 2)) + 1
    weight = RNG.standard_normal((1, 2, 3))
    y = x @ weight + 5
    alone = fitted(*_moments(x, y), np.zeros_like(weight), None)
    shifted = fitted(*_moments(x, y), np.zeros_like(weight), None, shifted=True)
    assert (alone.bias == 0).all()
    np.testing.assert_allclose(shifted.weight, weight, atol=1e-3)
    np.testing.assert_allclose(shifted.bias, 5, atol=1e-2)


def test_noise_is_not_learnt() -> None:
    """With more weights than rows a fit without care would be far off."""
    x, y = RNG.standard_normal((1, 60, 200)), RNG.standard_normal((1, 60, 4))
    start = np.zeros((1, 200, 4))
    fit = fitted(*_moments(x, y), start, np.zeros((1, 1, 4)))
    assert fit.after <= fit.before
    assert np.square(fit.weight).sum() < 0.5


def test_what_is_right_stays() -> None:
    x = RNG.standard_normal((1, 400, 5))
    weight, bias = RNG.standard_normal((1, 5, 3)), RNG.standard_normal((1, 1, 3))
    fit = fitted(*_moments(x, x @ weight + bias), weight, bias)
    np.testing.assert_allclose(fit.weight, weight, atol=1e-6)


def test_moments_know_the_error_and_the_best_shift() -> None:
    x, y = RNG.standard_normal((2, 50, 3)), RNG.standard_normal((2, 50, 4))
    moments = Moments()
    moments.add(x, y)
    fit = RNG.standard_normal((2, 4, 4))
    left = y - x @ fit[:, :-1] - fit[:, -1:]
    assert moments.error(fit) == pytest.approx(np.square(left).sum())
    shift = (y - x @ fit[:, :-1]).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(moments.shift(fit[:, :-1]), shift)


def test_dead_inputs_do_no_harm() -> None:
    x = np.zeros((1, 40, 3))
    fit = fitted(*_moments(x, np.ones((1, 40, 2))), np.ones((1, 3, 2)), np.zeros((1, 1, 2)))
    assert np.isfinite(fit.weight).all()
    np.testing.assert_allclose(fit.bias, 1.0, atol=1e-6)
