"""Uniform and global selection on given scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, find_groups
from onnxprune.coupling.isomorphism import isomorphism_classes
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.score.scoring import Scores
from onnxprune.passes.select.ranked import isomorphic, ranked
from onnxprune.passes.select.selection import LARGEST_RATIO, Selection, keep_best
from onnxprune.passes.select.threshold import thresholded
from onnxprune.passes.select.uniform import uniform
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


def selection(
    analysis: Analysis, scores: dict[Group, Scores], ratio: float, **more: Any
) -> Selection:
    return Selection(analysis, scores, ratio, 1, **more)


def test_uniform_takes_the_same_share_of_each() -> None:
    analysis, groups = two_groups()
    scores = {g: np.arange(g.size, dtype=np.float64) for g in groups}
    keeps = uniform(selection(analysis, scores, 0.3))
    assert counts(keeps, groups) == [7, 14]
    assert np.flatnonzero(keeps[groups[0].leaf].mask).tolist() == list(range(3, 10))


def test_global_takes_the_weakest_of_all() -> None:
    analysis, (small, large) = two_groups()
    scores = {small: np.linspace(5, 6, 10), large: np.linspace(0, 4, 20)}
    keeps = ranked(selection(analysis, scores, 0.3))
    assert counts(keeps, [small, large]) == [10, 11]
    assert not ranked(selection(analysis, scores, 0.0))
    assert not ranked(selection(analysis, {}, 0.5))


def test_no_group_is_strangled() -> None:
    analysis, (small, large) = two_groups()
    scores = {small: np.zeros(10), large: np.ones(20)}
    keeps = ranked(selection(analysis, scores, 0.5))
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
    """Each class loses its share, whatever the scores of the other are."""
    model = model_of(
        """g (float[2,3] x) => (float[2,3] y) {
            a = MatMul(x, w1)  b = Relu(a)  c = MatMul(b, w2)  d = MatMul(c, w3)
            e = Relu(d)  f = MatMul(e, w4)  y = MatMul(f, w5)
        }""",
        {"w1": (3, 10), "w2": (10, 20), "w3": (20, 10), "w4": (10, 20), "w5": (20, 3)},
    )
    analysis = analyse(canonicalise(model))
    groups = find_groups(analysis)
    scores = {g: np.linspace(i + 1, i + 2, g.size) for i, g in enumerate(groups)}
    classes = isomorphism_classes(analysis, groups)
    assert len(set(classes.values())) > 1
    keeps = isomorphic(selection(analysis, scores, 0.4))
    for number in set(classes.values()):
        alike = [g for g in groups if classes[g] == number]
        total = sum(g.size for g in alike)
        assert sum(counts(keeps, alike)) == total - int(0.4 * total)


def test_what_the_user_fixed_stays_as_it_is_fixed() -> None:
    analysis, (small, large) = two_groups()
    scores = {small: np.linspace(5, 6, 10), large: np.linspace(0, 4, 20)}
    for selector in (uniform, ranked, isomorphic):
        keeps = selector(selection(analysis, scores, 0.5, fixed={small: 0.2}))
        assert counts(keeps, [small, large]) == [8, 10]


def test_a_threshold_takes_what_is_below_its_share_of_the_mean() -> None:
    analysis, (small, large) = two_groups()
    scores = {small: np.linspace(0.1, 1, 10), large: np.full(20, 0.1)}
    keeps = thresholded(selection(analysis, scores, 0.0), 0.35)
    assert counts(keeps, [small, large]) == [7, round(20 * (1 - LARGEST_RATIO))]
