"""Magnitude scores, against norms worked out by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.groups import find_groups
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.passes.score.scoring import Scoring
from tests.texts import Weight, f32, model_of


def scores(text: str, weights: dict[str, Weight], criterion: str) -> npt.NDArray[np.float64]:
    analysis = analyse(canonicalise(model_of(text, weights)))
    groups = find_groups(analysis)
    assert len(groups) == 1
    return CRITERIA[criterion](Scoring(analysis, groups))[groups[0]]


TWO = "g (float[2,2] x) => (float[2,3] y) { h = MatMul(x, w1) y = MatMul(h, w2) }"
FIRST = f32([[3, 0, 1], [4, 2, -1]])


@pytest.mark.parametrize(
    ("criterion", "norms"), [("l1", [7, 2, 2]), ("l2", [5, 2, np.sqrt(2)]), ("max", [4, 2, 1])]
)
def test_norms_of_the_producer(criterion: str, norms: list[float]) -> None:
    found = scores(TWO, {"w1": FIRST, "w2": (3, 3)}, criterion)
    assert found == pytest.approx(np.array(norms) / np.mean(norms))


def test_producers_count_the_same_each() -> None:
    """What two layers add to has the mean of both, however large their weights are."""
    text = """g (float[2,2] x) => (float[2,3] y) {
        a = MatMul(x, w1)  b = MatMul(x, w3)  h = Add(a, b)  y = MatMul(h, w2)
    }"""
    other = 100 * f32([[0, 1, 0], [1, 1, 0]])
    found = scores(text, {"w1": FIRST, "w3": other, "w2": (3, 3)}, "l1")
    first, second = np.array([7, 2, 2]) / (11 / 3), np.array([1, 2, 0]) / 1
    assert found == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("criterion", ["l1", "l2"])
def test_folded_and_unfolded_batch_normalisation_score_alike(criterion: str) -> None:
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((8, 3, 1, 1)).astype(np.float32)
    scale, variance = rng.uniform(0.1, 2, (2, 8)).astype(np.float32)
    mean, bias = rng.standard_normal((2, 8)).astype(np.float32)
    raw = scores(
        """g (float[2,3,4,4] x) => (float[2,5,4,4] y) {
            a = Conv(x, w1)  n = BatchNormalization<epsilon=0.001>(a, s, b, m, v)  y = Conv(n, w2)
        }""",
        {"w1": kernel, "s": scale, "b": bias, "m": mean, "v": variance, "w2": (5, 8, 1, 1)},
        criterion,
    )
    factor = (scale / np.sqrt(variance + 0.001)).reshape(-1, 1, 1, 1)
    merged = scores(
        """g (float[2,3,4,4] x) => (float[2,5,4,4] y) {
            a = Conv(x, w1, b)  y = Conv(a, w2)
        }""",
        {"w1": kernel * factor, "b": (8,), "w2": (5, 8, 1, 1)},
        criterion,
    )
    assert raw == pytest.approx(merged, rel=1e-5)


def test_half_precision_does_not_overflow() -> None:
    big = np.full((300, 4), 300, np.float16)
    text = TWO.replace("float[2,2]", "float16[2,300]").replace("float[2,3]", "float16[2,3]")
    found = scores(text, {"w1": big, "w2": np.ones((4, 3), np.float16)}, "l2")
    assert found == pytest.approx(1)
