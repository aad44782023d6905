"""Uniform and global selection on given scores."""

from __future__ import annotations

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, find_groups
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.select.global_rank import LARGEST_RATIO, select_ranked
from onnxprune.passes.select.uniform import keep_best, select_uniform
from tests.texts import model_of


def two_groups() -> tuple[Analysis, list[Group]]:
    model = model_of(
        "g (float[2,3] x) => (float[2,3] y) { h = MatMul(x, w1) i = MatMul(h, w2) "
        "y = MatMul(i, w3) }",
        {"w1": (3, 10), "w2": (10, 20), "w3": (20, 3)},
    )
    analysis = analyse(canonicalise(model))
    return analysis, find_groups(analysis)


def counts(keeps: dict[Dim, Keep], groups: list[Group]) -> list[int]:
    return [keeps[g.leaf].count if g.leaf in keeps else g.size for g in groups]


def test_uniform_takes_the_same_share_of_each() -> None:
    analysis, groups = two_groups()
    scores = {g: np.arange(g.size, dtype=np.float64) for g in groups}
    keeps = select_uniform(analysis, scores, 0.3, 1)
    assert counts(keeps, groups) == [7, 14]
    assert np.flatnonzero(keeps[groups[0].leaf].mask).tolist() == list(range(3, 10))


def test_global_takes_the_weakest_of_all() -> None:
    analysis, (small, large) = two_groups()
    scores = {small: np.linspace(5, 6, 10), large: np.linspace(0, 4, 20)}
    keeps = select_ranked(analysis, scores, 0.3, 1)
    assert counts(keeps, [small, large]) == [10, 11]
    assert not select_ranked(analysis, scores, 0.0, 1)
    assert not select_ranked(analysis, {}, 0.5, 1)


def test_no_group_is_strangled() -> None:
    analysis, (small, large) = two_groups()
    scores = {small: np.zeros(10), large: np.ones(20)}
    keeps = select_ranked(analysis, scores, 0.5, 1)
    assert keeps[small.leaf].count == round(10 * (1 - LARGEST_RATIO))


def test_ties_go_to_the_lower_index() -> None:
    _, (small, _) = two_groups()
    assert np.flatnonzero(keep_best(small, np.ones(10), 4).mask).tolist() == [0, 1, 2, 3]


def test_ragged_scores_are_ranked_row_by_row() -> None:
    _, (small, large) = two_groups()
    small.over = large.leaf
    keep = keep_best(small, np.array([[3.0, 1, 2], [1, 2, 3]]), 2)
    assert keep.mask.tolist() == [[True, False, True], [False, True, True]]
    assert keep.over is large.leaf
    assert keep.count == 2


def test_classes_are_ranked_apart() -> None:
    analysis, (small, large) = two_groups()
    scores = {small: np.linspace(5, 6, 10), large: np.linspace(0, 4, 20)}
    keeps = select_ranked(analysis, scores, 0.3, 1, classes={small: 0, large: 1})
    assert counts(keeps, [small, large]) == [7, 14]
    keeps = select_ranked(analysis, scores, 0.3, 1, classes={small: 0, large: 0})
    assert counts(keeps, [small, large]) == [10, 11]
