"""Costs after every change are those of the model that really lost the channels."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.axes import Dim, Keep
from onnxprune.cost.ledger import QUANTITIES, Costs, Ledger
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import DEFAULT_KINDS, Group, choose, find_groups
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.passes.remove.slicing import remove
from tests.random_graphs.drawing import Seeded
from tests.random_graphs.networks import network
from tests.texts import model_of

CHAIN = """g (float[1,3,4,4] x) => (float[1,2,4,4] y) {
    a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  d = Add(c, a)  y = Conv(d, w3)
}"""
WEIGHTS = {"w1": (8, 3, 1, 1), "w2": (8, 8, 1, 1), "w3": (2, 8, 1, 1)}


def analysed(model: Model) -> tuple[Analysis, list[Group]]:
    analysis = analyse(canonicalise(model))
    return analysis, choose(find_groups(analysis), DEFAULT_KINDS)


def counted(model: Model) -> Costs:
    return Ledger(analyse(canonicalise(model)), ()).totals


def test_what_a_small_chain_costs() -> None:
    """Places 16; live at once are x and a; a and b; a, b and c; a, c and d; d and y."""
    totals = counted(model_of(CHAIN, WEIGHTS))
    assert totals.macs == 16 * (3 * 8 + 8 * 8 + 8 * 2)
    assert totals.params == 8 * 3 + 8 * 8 + 2 * 8
    assert totals.memory == 4 * 16 * (8 + 8 + 8)
    assert totals.pressure >= totals.memory
    assert totals["macs"] == totals.macs


def test_changes_of_a_group_are_counted() -> None:
    analysis, (group,) = analysed(model_of(CHAIN, WEIGHTS))
    ledger = Ledger(analysis, (group,))
    after = ledger.after({group: 4})
    assert after.macs == 16 * (3 * 4 + 4 * 4 + 4 * 2)
    assert after.memory == 4 * 16 * (4 + 4 + 4)
    assert ledger.totals.macs > after.macs
    assert ledger.counts[group] == 8
    ledger.set({group: 4})
    assert ledger.totals == after
    assert ledger.after({group: 8}).macs == 16 * (3 * 8 + 8 * 8 + 8 * 2)


def test_memory_may_be_left_out() -> None:
    analysis, groups = analysed(model_of(CHAIN, WEIGHTS))
    totals = Ledger(analysis, groups, memory=False).totals
    assert (totals.memory, totals.pressure) == (0, 0)


def test_what_costs_most_is_named() -> None:
    analysis, groups = analysed(model_of(CHAIN, WEIGHTS))
    ledger = Ledger(analysis, groups)
    assert ledger.largest("params", 1) == ["w2 61.5%"]
    assert ledger.largest("macs", 1) == ["c 61.5%"]
    assert ledger.largest("memory", 1)[0].endswith("33.3%")


@pytest.mark.parametrize("seed", range(40))
def test_the_ledger_agrees_with_the_pruned_model(seed: int) -> None:
    model = load(network(Seeded(seed)))
    analysis, groups = analysed(model)
    ledger = Ledger(analysis, groups)
    rng = np.random.default_rng(seed)
    keeps: dict[Dim, Keep] = {}
    for group in groups:
        ledger.set({group: int(rng.integers(1, group.size + 1))})
        keeps[group.leaf] = group.first(ledger.counts[group])
    pruned = counted(remove(analysis, keeps))
    for quantity in QUANTITIES:
        slack = 0.03 * pruned.size if quantity == "size" else 0.0  # lengths of numbers in the file
        assert abs(ledger.totals[quantity] - pruned[quantity]) <= slack, quantity
