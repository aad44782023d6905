"""What each method makes of a layer, beside the algebra that it shortens."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from onnxprune.passes.repair.least_squares import Array, Moments
from onnxprune.passes.sparsify.amount import Amount
from onnxprune.passes.sparsify.methods import METHODS, Method, adapted, masked
from onnxprune.passes.sparsify.pattern import Pattern
from onnxprune.passes.sparsify.settling import settled
from tests.passes.samples import RNG
from tests.texts import f32

DRAWN = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    """As pipelines do it; many small problems on many threads wait for each other."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.mark.parametrize("row", [0, 1, 5, 11])
def test_one_weight_goes_as_the_closed_form_says(row: int) -> None:
    """B. Hassibi, D. Stork, "Second Order Derivatives for Network Pruning", NeurIPS 1992."""
    mix = RNG.standard_normal((12, 12)) + 2
    second = mix @ mix.T / 12
    weight = RNG.standard_normal((1, 12, 1))
    start = weight.copy()
    start[0, row] = 0.0
    result = settled(start, weight, second[None], 0.01)[0, :, 0]
    damped = second + 0.01 * np.diag(second).mean() * np.eye(12)
    inverse = np.linalg.inv(damped)
    expected = weight[0, :, 0] - weight[0, row, 0] / inverse[row, row] * inverse[:, row]
    np.testing.assert_allclose(result, expected, atol=1e-2)
    assert result[row] == 0
    found, least = (
        apart @ damped @ apart for apart in (result - weight[0, :, 0], expected - weight[0, :, 0])
    )
    assert found == pytest.approx(least, rel=1e-4)


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
    "constants": np.ones((500, 1)) * DRAWN.random(64) * 9,
    "one large and constant": DRAWN.standard_normal((500, 64)) * 1e-3 + np.eye(64)[0] * 1e3,
    "far from zero": DRAWN.standard_normal((500, 64)) * 1e-6 + DRAWN.standard_normal(64) * 1e4,
    "all alike": DRAWN.standard_normal((500, 1)) * np.ones((1, 64)) + 50,
    "fewer than weights": DRAWN.standard_normal((3, 64)),
    "large": DRAWN.standard_normal((500, 64)) * 1e15,
    "small": DRAWN.standard_normal((500, 64)) * 1e-15,
    "some dead": DRAWN.standard_normal((500, 64)) * (np.arange(64) % 3 == 0),
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
