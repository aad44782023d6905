"""Criteria beyond norms, and what makes their scores comparable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from onnxprune.axes import DimSpace
from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.groups import find_groups
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.score.combining import NORMALIZATIONS, REDUCTIONS
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.passes.score.scoring import Scoring, channel_table
from tests.texts import Weight, f32, model_of

TWO = "g (float[2,2] x) => (float[2,3] y) { h = MatMul(x, w1) y = MatMul(h, w2) }"


def scoring(text: str, weights: dict[str, Weight]) -> Scoring:
    analysis = analyse(canonicalise(model_of(text, weights)))
    return Scoring(analysis, find_groups(analysis))


def test_the_geometric_median_goes_first() -> None:
    """Channels at 0, 1 and 5 on a line: distances 6, 5 and 9."""
    found = scoring(TWO, {"w1": f32([[0, 1, 5], [0, 0, 0]]), "w2": (3, 3)})
    (scores,) = CRITERIA["fpgm"](found).values()
    assert scores == pytest.approx(np.array([6, 5, 9]) / (20 / 3), rel=1e-5)


def test_scales_of_normalisations() -> None:
    text = """g (float[2,3,4,4] x) => (float[2,5,4,4] y) {
        a = Conv(x, w1)  n = BatchNormalization(a, s, b, m, v)  c = Conv(n, w2)  y = Conv(c, w3)
    }"""
    weights: dict[str, Weight] = {
        "w1": (4, 3, 1, 1), "s": f32([1, -3, 0, 4]), "b": (4,), "m": (4,), "v": np.ones(4, "f4"),
        "w2": (6, 4, 1, 1), "w3": (5, 6, 1, 1),
    }  # fmt: skip
    found = scoring(text, weights)
    scaled, plain = CRITERIA["norm-scale"](found).values()
    assert scaled == pytest.approx([0.5, 1.5, 0, 2])
    _, norms = CRITERIA["l2"](found).values()
    assert plain == pytest.approx(norms)


def test_random_scores_follow_the_seed() -> None:
    found = scoring(TWO, {"w1": (2, 3), "w2": (3, 3)})
    (first,), (second,), (other,) = (
        CRITERIA["random"](replace(found, seed=seed)).values() for seed in (1, 1, 2)
    )
    assert (first == second).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", [0.5, 1, 1.5]),
        ("max", [1 / 3, 2 / 3, 1]),
        ("standard", [-np.sqrt(1.5), 0, np.sqrt(1.5)]),
        ("lamp", [1 / 14, 4 / 13, 1]),
        ("none", [1, 2, 3]),
    ],
)
def test_normalizations_are_those_by_hand(name: str, expected: list[float]) -> None:
    assert NORMALIZATIONS[name](np.array([1.0, 2, 3])) == pytest.approx(expected)
    assert np.isfinite(NORMALIZATIONS[name](np.zeros(3))).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mean", [2.5, 2]), ("sum", [5, 4]), ("max", [4, 4]), ("product", [2, 0])],
)
def test_reductions_are_those_by_hand(name: str, expected: list[float]) -> None:
    parts = np.array([[1.0, 4], [4, 0]])
    assert REDUCTIONS[name](parts) == pytest.approx(expected, abs=1e-9)


def test_heads_have_all_their_rows_in_one() -> None:
    """(3 h d) outputs of a fused projection: row j of the table is head j of q, k and v."""
    space = DimSpace()
    heads, size = space.dim(4), space.dim(2)
    axis = space.product((space.dim(3), heads, size))
    array = np.arange(24 * 3, dtype=np.float32).reshape(24, 3)
    table = channel_table(array, (axis, space.dim(3)), 0, heads)
    rows = array.reshape(3, 4, 2, 3)
    assert (table == rows.transpose(1, 0, 2, 3).reshape(4, -1)).all()
    ragged = channel_table(array, (axis, space.dim(3)), 0, size, heads)
    assert ragged.shape == (4, 2, 3 * 3)
    assert (ragged[1, 0] == rows[:, 1, 0].reshape(-1)).all()


def test_channels_of_groups_are_told_apart() -> None:
    """Input channels of a grouped convolution, [(g o), i]: one row for each group and channel."""
    space = DimSpace()
    groups, inputs = space.dim(2), space.dim(5)
    dims = (space.product((groups, space.dim(3))), inputs)
    array = np.arange(30, dtype=np.float32).reshape(6, 5)
    table = channel_table(array, dims, 1, inputs, groups)
    assert (table == array.reshape(2, 3, 5).transpose(0, 2, 1)).all()
