"""Scores from what flows along channels, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import onnxprune as op
from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.groups import find_groups
from onnxprune.data.batches import Batch
from onnxprune.errors import UsageError
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.passes.score.readers import find_readers
from onnxprune.passes.score.scoring import Scoring
from onnxprune.passes.score.statistics import collect_sums
from tests.texts import Weight, f32, model_of

TWO = "g (float[n,2] x) => (float[n,2] y) { h = MatMul(x, w1)  r = Relu(h)  y = MatMul(r, w2) }"
WEIGHTS: dict[str, Weight] = {
    "w1": f32([[1, 0, 2], [0, 1, -1]]),
    "w2": f32([[3, 4], [0, 1], [1, 0]]),
}
SAMPLES = f32([[1, 0], [3, 0], [0, 2], [0, -2]])
READ = np.maximum(SAMPLES @ f32([[1, 0, 2], [0, 1, -1]]), 0)
"""[[1, 0, 2], [3, 0, 6], [0, 2, 0], [0, 0, 2]]"""


def batches(*sizes: int) -> list[Batch]:
    pieces = np.split(SAMPLES, np.cumsum(sizes)[:-1])
    return [Batch({"x": piece}, None, len(piece)) for piece in pieces]


def scoring(opset: int = 17) -> Scoring:
    analysis = analyse(canonicalise(model_of(TWO, WEIGHTS, opset=opset)))
    return Scoring(analysis, find_groups(analysis), normalization="none", data=batches(3, 1))


@pytest.mark.parametrize("opset", [11, 17, 18])
@pytest.mark.parametrize("sizes", [(4,), (2, 2), (1, 1, 1, 1)])
def test_sums_stream(opset: int, sizes: tuple[int, ...]) -> None:
    found = collect_sums(scoring(opset).analysis, {("r", 1), ("x", 1)}, batches(*sizes))
    sums = found["r", 1]
    assert sums.count == 4
    assert sums.total == pytest.approx(READ.sum(axis=0))
    assert sums.squares == pytest.approx(np.square(READ).sum(axis=0))
    assert sums.zeros == pytest.approx((READ == 0).sum(axis=0))
    assert sums.variance == pytest.approx(READ.var(axis=0), rel=1e-5)
    assert found["x", 1].size == pytest.approx(np.abs(SAMPLES).sum(axis=0))


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("activation", READ.mean(axis=0)),
        ("variance", READ.var(axis=0)),
        ("activity", (READ != 0).mean(axis=0)),
        ("wanda", np.sqrt(np.square(READ).mean(axis=0) * [25, 1, 1])),
    ],
)
def test_scores_are_those_by_hand(
    criterion: str, expected: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> None:
    (scores,) = CRITERIA[criterion](scoring()).values()
    assert scores == pytest.approx(expected, rel=1e-5)


def test_second_order_scores_are_what_least_squares_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error of the reader without a channel, once its other weights are fitted anew."""
    monkeypatch.setattr("onnxprune.passes.score.second_order.DAMPING", 1e-7)
    rng = np.random.default_rng(0)
    mix = 0.5 * rng.standard_normal((5, 5)) + 2 * np.eye(5)
    x = (rng.standard_normal((400, 5)) @ mix).astype(np.float32)
    w1, w2 = np.eye(5, dtype=np.float32), rng.standard_normal((5, 3)).astype(np.float32)
    text = "g (float[n,5] x) => (float[n,3] y) { h = MatMul(x, w1)  y = MatMul(h, w2) }"
    analysis = analyse(canonicalise(model_of(text, {"w1": w1, "w2": w2})))
    groups = find_groups(analysis)
    data = [Batch({"x": part}, None, len(part)) for part in np.split(x, 4)]
    scoring = Scoring(analysis, groups, normalization="none", data=data)
    (scores,) = CRITERIA["obs"](scoring).values()
    for channel in range(5):
        others = np.delete(x, channel, axis=1)
        _, residuals, _, _ = np.linalg.lstsq(others, x @ w2, rcond=None)
        assert scores[channel] ** 2 == pytest.approx(residuals.sum() / len(x), rel=1e-3)


def test_a_group_that_is_read_twice_has_the_mean_of_both() -> None:
    text = """g (float[n,2] x) => (float[n,2] y) {
        h = MatMul(x, w1)  a = Relu(h)  b = MatMul(a, w2)  c = MatMul(h, w2)  y = Add(b, c)
    }"""
    analysis = analyse(canonicalise(model_of(text, WEIGHTS)))
    groups = find_groups(analysis)
    readers = find_readers(analysis, groups)[groups[0]]
    assert [(r.activation, r.axis, r.member.weight) for r in readers] == [
        ("a", 1, "w2"),
        ("h", 1, "w2"),
    ]
    (scores,) = CRITERIA["activation"](Scoring(analysis, groups, data=batches(4))).values()
    first, second = READ.mean(axis=0), np.abs(SAMPLES @ f32([[1, 0, 2], [0, 1, -1]])).mean(axis=0)
    assert scores == pytest.approx((first / first.mean() + second / second.mean()) / 2, rel=1e-5)


def test_groups_that_nothing_reads_go_by_their_weights() -> None:
    model = model_of("g (float[n,2] x) => (float[n,3] y) { y = MatMul(x, w1) }", WEIGHTS)
    analysis = analyse(canonicalise(model), allow_io=("y:1",))
    groups = find_groups(analysis)
    (scores,) = CRITERIA["wanda"](Scoring(analysis, groups)).values()
    (norms,) = CRITERIA["l2"](Scoring(analysis, groups)).values()
    assert (scores == norms).all()


def test_without_data_inputs_are_random_and_follow_the_seed() -> None:
    plain = replace(scoring(), data=None)
    (first,), (again,), (other,) = (
        CRITERIA["activation"](replace(plain, seed=seed)).values() for seed in (0, 0, 99)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_data_decides_what_goes() -> None:
    """The third channel has the largest weights, but is silent on this data."""
    data = [Batch({"x": f32([[1, 3], [2, 5]])}, None, 2)]
    model = model_of(TWO, WEIGHTS)
    by_weight = op.prune(model, 0.4, round_to=1)
    by_data = op.prune(model, 0.4, round_to=1, criterion="activation", data=data)
    assert by_weight.plan.initializers["w1"][1] == (0, 2)
    assert by_data.plan.initializers["w1"][1] == (0, 1)


def test_data_without_samples_is_refused() -> None:
    with pytest.raises(UsageError, match="no samples"):
        CRITERIA["wanda"](replace(scoring(), data=[]))
