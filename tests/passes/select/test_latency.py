"""Closing the loop on a measured latency; what is measured is made up here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from onnxprune.axes import Dim, Keep
from onnxprune.cost.latency import LatencyTable
from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.groups import find_groups
from onnxprune.errors import CannotTellError, CheckFailedError
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.select.budget import Budget
from onnxprune.passes.select.latency import CLOSE, within_latency
from onnxprune.passes.select.selection import Selection
from onnxprune.passes.select.targets import Target
from onnxprune.verify.speed import Latency, Speedup
from tests.texts import model_of

TEXT = "g (float[n,64] x) => (float[n,8] y) { a = MatMul(x, w1)  b = Relu(a)  y = MatMul(b, w2) }"


class MadeUpTable(LatencyTable):
    """A table that thinks that a layer takes a thousandth of a millisecond for each channel."""

    def __init__(self) -> None:
        self.rest_ms = 0.0

    def time_ms(self, place: int, keeps: object) -> float:
        assert isinstance(keeps, dict)
        kept = int(next((keep.count for keep in keeps.values()), 1000))
        return kept / 2000 if place != 1 else 0.0

    def whole_is(self, latency_ms: float) -> None:
        self.rest_ms = max(latency_ms - 1.0, 0.0)


def selection() -> Selection:
    analysis = analyse(canonicalise(model_of(TEXT, {"w1": (64, 1000), "w2": (1000, 8)})))
    (group,) = find_groups(analysis)
    return Selection(analysis, {group: np.arange(1, 1001, dtype=np.float64)}, 0.0, 1)


Measure = Callable[[dict[Dim, Keep]], Speedup]


def machine(fixed: float, noise: float = 0.01) -> Measure:
    """A share of the latency is fixed, whatever the table thinks; the rest follows the channels."""

    def measure(keeps: dict[Dim, Keep]) -> Speedup:
        kept = next((keep.count / 1000 for keep in keeps.values()), 1.0)
        ratio = 1 / (fixed + (1 - fixed) * kept)
        latency = Latency(1.0, 1.0, 1.0, 100)
        low, high = ratio * (1 - noise), ratio * (1 + noise)
        return Speedup(ratio, low, high, 0.99, 1.01, "faster", latency, latency, 100)

    return measure


@pytest.mark.parametrize("fixed", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("goal", [0.9, 0.7, 0.5])
def test_the_measured_ratio_meets_the_target(fixed: float, goal: float) -> None:
    target = Target("latency", goal, True)
    keeps, speed = within_latency(selection(), target, [], MadeUpTable(), machine(fixed))
    assert 1 / speed.low <= goal
    assert 1 / speed.ratio >= goal - CLOSE
    (keep,) = keeps.values()
    assert keep.mask[-keep.count :].all()


def test_milliseconds_are_meant_of_the_original() -> None:
    target = Target("latency", 0.7, False)
    _, speed = within_latency(selection(), target, [], MadeUpTable(), machine(0.1))
    assert 0.65 <= 1 / speed.ratio <= 0.7
    with pytest.raises(CheckFailedError, match="takes 1 ms already"):
        within_latency(selection(), Target("latency", 2.0, False), [], MadeUpTable(), machine(0.1))


def test_another_budget_is_met_as_well() -> None:
    chosen = selection()
    params = Budget("params", 0.4 * 72000)
    target = Target("latency", 0.8, True)
    keeps, speed = within_latency(chosen, target, [params], MadeUpTable(), machine(0.0))
    (keep,) = keeps.values()
    assert keep.count <= 400
    assert 1 / speed.low <= 0.8


def test_what_no_machine_can_do() -> None:
    for goal, fixed in ((0.5, 0.6), (0.05, 0.0)):
        target = Target("latency", goal, True)
        with pytest.raises(CheckFailedError, match="cannot be met") as raised:
            within_latency(selection(), target, [], MadeUpTable(), machine(fixed))
        assert raised.value.exit_code == 1


def test_too_much_noise() -> None:
    """The interval is wide, and gets wider the more is removed."""

    def measure(keeps: dict[Dim, Keep]) -> Speedup:
        kept = next((keep.count / 1000 for keep in keeps.values()), 1.0)
        return machine(0.0, noise=1 - kept)(keeps)

    with pytest.raises(CannotTellError, match="could not be shown") as raised:
        within_latency(selection(), Target("latency", 0.5, True), [], MadeUpTable(), measure)
    assert raised.value.exit_code == 6
