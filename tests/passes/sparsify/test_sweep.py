"""The sweep, beside the algebra that it shortens."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from onnxprune.passes.repair.least_squares import Array, Moments
from onnxprune.passes.sparsify.amount import Amount
from onnxprune.passes.sparsify.methods import METHODS, Method, adapted, masked
from onnxprune.passes.sparsify.pattern import Pattern
from onnxprune.passes.sparsify.sweep import ROWS, Curvature, swept
from tests.texts import f32

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    """As pipelines do it; many small problems on many threads wait for each other."""
    with threadpool_limits(1, user_api="blas"):
        yield


def second_moments(groups: int, reads: int) -> Array:
    """Of inputs that know much of each other."""
    mix = RNG.standard_normal((groups, reads, reads)) + 2 * np.ones((1, reads, 1))
    return np.asarray(mix @ mix.swapaxes(1, 2) / reads)


def damped(second: Array, damping: float) -> Array:
    mean = np.einsum("gii->gi", second).mean(axis=1)[:, None, None]
    return np.asarray(second + damping * mean * np.eye(second.shape[1]))


def loss(second: Array, change: Array) -> float:
    """What the outputs lose by a change of weights, ``[k, m]``."""
    return float((change * (second @ change)).sum())


def best(second: Array, weight: Array, gone: Array) -> Array:
    """The least loss that any weights with these zeros have, output by output."""
    found = np.where(gone, 0.0, weight)
    for output in range(weight.shape[1]):
        zero, kept = gone[:, output], ~gone[:, output]
        across = second[np.ix_(kept, zero)] @ weight[zero, output]
        found[kept, output] += np.linalg.solve(second[np.ix_(kept, kept)], across)
    return found


def one_by_one(second: Array, weight: Array, gone: Array) -> Array:
    """Each weight goes by itself, those behind it make up for it: S. Hassibi's formula."""
    found = weight.copy()
    for row in range(len(weight)):
        inverse = np.linalg.inv(second[row:, row:])
        for output in np.flatnonzero(gone[row]):
            share = found[row, output] / inverse[0, 0]
            found[row:, output] -= share * inverse[:, 0]
            found[row, output] = 0.0
    return found


def fixed(gone: Array, stretch: int = ROWS, second: Array | None = None) -> tuple[Array, Array]:
    """A weight and what a sweep over given zeros makes of it."""
    weight = RNG.standard_normal(gone.shape)
    moments = second_moments(len(gone), gone.shape[1]) if second is None else second
    curvature = Curvature.of(moments, 0.01)
    result = swept(weight, curvature, lambda at, x: gone[:, at : at + x.shape[1]], stretch)
    return weight, result


@pytest.mark.parametrize("row", [0, 1, 5, 11])
def test_one_weight_goes_as_the_closed_form_says(row: int) -> None:
    """Rows in front of it stay as they are; for the first row nothing does."""
    second = second_moments(1, 12)
    gone = np.zeros((1, 12, 1), np.bool_)
    gone[0, row] = True
    weight, result = fixed(gone, second=second)
    behind = damped(second, 0.01)[0, row:, row:]
    inverse = np.linalg.inv(behind)
    expected = weight[0, :, 0].copy()
    expected[row:] -= expected[row] / inverse[0, 0] * inverse[:, 0]
    np.testing.assert_allclose(result[0, :, 0], expected, rtol=1e-9, atol=1e-12)
    assert result[0, row, 0] == 0
    if row == 0:
        losses = Curvature.of(second, 0.01).losses(weight)
        change = result[0] - weight[0]
        assert loss(damped(second, 0.01)[0], change) == pytest.approx(float(losses[0, 0, 0]))


@pytest.mark.parametrize("stretch", [ROWS, 4, 3, 16])
@pytest.mark.parametrize("reads", [48, 144, 288])
def test_many_weights_go_as_if_one_by_one(reads: int, stretch: int) -> None:
    """Whatever the stretches, and beyond the rows that are gone through at once."""
    second = second_moments(2, reads)
    gone = RNG.random((2, reads, 3)) < 0.5
    weight, result = fixed(gone, stretch, second)
    assert ((result == 0) == gone).all()
    for group in range(2):
        expected = one_by_one(damped(second, 0.01)[group], weight[group], gone[group])
        np.testing.assert_allclose(result[group], expected, rtol=1e-6, atol=1e-8)


def test_where_all_zeros_come_first_it_is_the_best_there_is() -> None:
    second = second_moments(1, 200)
    gone = np.zeros((1, 200, 4), np.bool_)
    gone[:, :90] = True
    weight, result = fixed(gone, second=second)
    expected = best(damped(second, 0.01)[0], weight[0], gone[0])
    np.testing.assert_allclose(result[0], expected, rtol=1e-6, atol=1e-8)


def _seen(rows: int, reads: int, outputs: int, mean: float = 1.0) -> tuple[Array, Moments, Array]:
    """Inputs that know of each other, the moments of a layer that reads them, and its weight."""
    x = f32(RNG.standard_normal((rows, reads)) @ RNG.standard_normal((reads, reads)) + mean)
    weight = RNG.standard_normal((1, reads, outputs))
    moments = Moments()
    moments.add(x[None], f32(x @ weight[0])[None])
    return x.astype(np.float64), moments, weight


AMOUNTS = [
    Amount(480),
    Amount(900),
    Amount(pattern=Pattern(2, 4), channels=8),
    Amount(pattern=Pattern(1, 4), channels=24),
]


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("method", METHODS)
def test_between_zeros_alone_and_the_best_there_is(method: Method, amount: Amount) -> None:
    """On the samples that it is fitted to; the best is a least squares for each output."""
    x, moments, weight = _seen(2000, 24, 40)
    result = adapted(method, weight, moments, amount, 0.01, centred=False)[0]
    gone = result == 0
    if amount.pattern is None:
        assert gone.sum() == amount.zeros
    y = x @ weight[0]
    plain = masked("magnitude" if method == "magnitude" else "wanda", weight, moments, amount)[0]
    least = np.zeros_like(result)
    for output in range(40):
        kept = ~gone[:, output]
        least[kept, output] = np.linalg.lstsq(x[:, kept], y[:, output])[0]
    errors = [np.square(y - x @ w).sum() for w in (least, result, np.where(plain, 0, weight[0]))]
    assert errors[0] <= errors[1] <= errors[2]
    if method != "sparsegpt":
        assert (plain == gone).all()


def test_a_bias_takes_over_the_mean() -> None:
    """Where there is one, only what varies counts."""
    x, moments, weight = _seen(2000, 16, 8, 100.0)
    result = adapted("sparsegpt", weight, moments, Amount(64), 0.01, centred=True)
    bias = moments.shift(result)
    beside = adapted("sparsegpt", weight, moments, Amount(64), 0.01, centred=False)
    y = x @ weight[0]
    with_bias, without = (y - x @ result[0] - bias[0], y - x @ beside[0])
    assert np.square(with_bias).sum() < 0.8 * np.square(without).sum()
    assert np.abs(with_bias.mean(axis=0)).max() < 1e-3 * np.abs(y).mean()


INPUTS = {
    "zero": np.zeros((500, 64)),
    "constant": np.full((500, 64), np.pi),
    "constants": np.ones((500, 1)) * RNG.random(64) * 9,
    "one large and constant": RNG.standard_normal((500, 64)) * 1e-3 + np.eye(64)[0] * 1e3,
    "far from zero": RNG.standard_normal((500, 64)) * 1e-6 + RNG.standard_normal(64) * 1e4,
    "all alike": RNG.standard_normal((500, 1)) * np.ones((1, 64)) + 50,
    "fewer than weights": RNG.standard_normal((3, 64)),
    "large": RNG.standard_normal((500, 64)) * 1e15,
    "small": RNG.standard_normal((500, 64)) * 1e-15,
    "some dead": RNG.standard_normal((500, 64)) * (np.arange(64) % 3 == 0),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_inputs_that_tell_little(name: str, centred: bool, method: Method) -> None:
    """Rounding makes moments of such inputs indefinite; what is made of them stays finite."""
    moments = Moments()
    for part in np.array_split(INPUTS[name], 3):
        moments.add(f32(part)[None], np.zeros((1, len(part), 5), np.float32))
    weight = RNG.standard_normal((1, 64, 5))
    for amount in (Amount(160), Amount(pattern=Pattern(2, 4), channels=16)):
        result = adapted(method, weight, moments, amount, 0.01, centred)
        assert np.isfinite(result).all()
        assert (result == 0).sum() == 160


def test_moments_beyond_all_numbers_leave_weights_as_they_are() -> None:
    moments = Moments(np.full((1, 9, 9), np.nan), np.zeros((1, 9, 2)), np.zeros((1, 2)), 4)
    weight = RNG.standard_normal((1, 8, 2))
    result = adapted("magnitude", weight, moments, Amount(8), 0.01, centred=False)
    assert (result == 0).sum() == 8
    assert (result[result != 0] == weight[result != 0]).all()


def test_groups_know_nothing_of_each_other() -> None:
    second = second_moments(3, 20)
    weight = RNG.standard_normal((3, 20, 4))
    gone = RNG.random((3, 20, 4)) < 0.4

    def sweep(chosen: slice) -> Array:
        curvature = Curvature.of(second[chosen], 0.1)
        return swept(
            weight[chosen], curvature, lambda at, x: gone[chosen, at : at + x.shape[1]], ROWS
        )

    apart = np.concatenate([sweep(slice(i, i + 1)) for i in range(3)])
    np.testing.assert_allclose(sweep(slice(None)), apart, rtol=1e-12)
