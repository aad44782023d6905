"""Budgets are met, and what is given up for them is what matters least."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import pytest

from onnxprune.axes import Dim, Keep
from onnxprune.cost.ledger import Ledger
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, find_groups
from onnxprune.errors import CheckFailedError
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.score.scoring import Scores
from onnxprune.passes.select.budget import Budget, budgeted
from onnxprune.passes.select.selection import Selection
from onnxprune.passes.select.targets import Target
from onnxprune.pipelines.presets import pruning
from tests.texts import Weight, model_of

CHAIN = """g (float[n,30] x) => (float[n,5] y) {
    h = MatMul(x, w1)  i = MatMul(h, w2)  y = MatMul(i, w3)
}"""
WEIGHTS: dict[str, Weight] = {"w1": (30, 40), "w2": (40, 20), "w3": (20, 5)}


def chain() -> tuple[Analysis, list[Group]]:
    analysis = analyse(canonicalise(model_of(CHAIN, WEIGHTS)))
    return analysis, find_groups(analysis)


def kept(keeps: Mapping[Dim, Keep], group: Group) -> int:
    return keeps[group.leaf].count if group.leaf in keeps else group.size


def test_dead_channels_go_first() -> None:
    analysis, (wide, narrow) = chain()
    scores = {wide: np.r_[np.zeros(10), np.ones(30)], narrow: np.ones(20)}
    whole = Ledger(analysis, ()).totals.macs
    after = whole - 2 * 10 * (30 + 20)
    keeps = budgeted(Selection(analysis, scores, 0.0, 1), [Budget("macs", after)])
    assert (kept(keeps, wide), kept(keeps, narrow)) == (30, 20)
    assert not keeps[wide.leaf].mask[:10].any()


def test_the_best_choice_is_found_or_nearly_so() -> None:
    """Against all choices there are: the loss is at most some per cent above the least."""
    analysis, (wide, narrow) = chain()
    rng = np.random.default_rng(0)
    scores = {wide: rng.random(40), narrow: rng.random(20)}
    ledger = Ledger(analysis, scores)
    limit = 0.5 * ledger.totals.macs
    losses: dict[tuple[int, int], float] = {}
    for a, b in product(range(4, 41), range(2, 21)):
        ledger.set({wide: a})
        ledger.set({narrow: b})
        if ledger.totals.macs <= limit:
            losses[a, b] = sum(_loss(scores[g], n) for g, n in ((wide, a), (narrow, b)))
    keeps = budgeted(Selection(analysis, scores, 0.0, 1), [Budget("macs", limit)])
    found = losses[kept(keeps, wide), kept(keeps, narrow)]
    assert found <= 1.05 * min(losses.values())


def _loss(scores: Scores, count: int) -> float:
    best = np.sort(scores)[::-1]
    return float(-np.log(best[:count].sum() / best.sum()))


@pytest.mark.parametrize("quantity", ["macs", "params", "size", "memory"])
@pytest.mark.parametrize("share", [0.8, 0.65, 0.5])
def test_budgets_are_met_from_below(quantity: str, share: float) -> None:
    result = pruning(targets=(f"{quantity}={share}",), round_to=1).run(model_of(CHAIN, WEIGHTS))
    whole, now = (
        Ledger(analyse(canonicalise(model)), ()).totals[quantity]
        for model in (result.original, result.model)
    )
    assert 0.9 * share < now / whole <= share
    assert result.verify().passed


def test_two_budgets_at_once() -> None:
    result = pruning(targets=("macs=0.6", "params=0.4"), round_to=1).run(model_of(CHAIN, WEIGHTS))
    first, now = (
        Ledger(analyse(canonicalise(model)), ()).totals for model in (result.original, result.model)
    )
    assert now.macs <= 0.6 * first.macs
    assert now.params <= 0.4 * first.params


def test_widths_are_rounded_as_long_as_the_budget_is_met() -> None:
    analysis, groups = chain()
    scores = {group: np.ones(group.size) for group in groups}
    limit = 0.5 * Ledger(analysis, ()).totals.macs
    keeps = budgeted(Selection(analysis, scores, 0.0, 4), [Budget("macs", limit)])
    assert all(kept(keeps, group) % 4 == 0 for group in groups)


def test_what_cannot_be_met_says_how_far_it_got() -> None:
    with pytest.raises(CheckFailedError, match="cannot be met") as raised:
        pruning(targets=("params=0.01",), round_to=1).run(model_of(CHAIN, WEIGHTS))
    error = raised.value
    assert error.exit_code == 1
    assert "1.0% is the budget" in error.where
    assert "w1" in error.why


def test_shares_are_meant_of_the_original_and_numbers_of_one_sample() -> None:
    model = model_of(CHAIN, WEIGHTS)
    analysis = analyse(canonicalise(model))
    assert Budget.of(Target("params", 0.5, True), analysis, model).limit == 0.5 * model.parameters
    assert Budget.of(Target("size", 0.5, True), analysis, model).limit == 0.5 * model.size_bytes
    assert Budget.of(Target("macs", 1e3, False), analysis, model).limit == 2e3
    whole = Ledger(analysis, ()).totals.memory
    assert Budget.of(Target("memory", 0.5, True), analysis, model).limit == 0.5 * whole


def test_a_budget_beats_the_same_share_of_everything() -> None:
    """What a wide layer saves costs less importance than what a narrow one does."""
    analysis, (wide, narrow) = chain()
    scores = {wide: np.ones(40), narrow: np.ones(20)}
    whole = Ledger(analysis, ()).totals.macs
    keeps = budgeted(Selection(analysis, scores, 0.0, 1), [Budget("macs", 0.5 * whole)])
    assert kept(keeps, wide) / 40 < kept(keeps, narrow) / 20
