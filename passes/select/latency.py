"""A target latency: by a table of single operators first, then measured on the whole model.

The table says which channels to remove; it does not know what a runtime fuses. So the pruned model
is measured against the original, and the budget in the table's terms is moved by the error until
the measured ratio meets the target.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnxprune.axes import Dim, Keep
from onnxprune.cost.latency import LatencyTable
from onnxprune.cost.measurements import Measurements
from onnxprune.cost.sample import Sample
from onnxprune.coupling.inputs import input_specs
from onnxprune.coupling.ports import kept_of_ports
from onnxprune.data.narrow import narrowed
from onnxprune.data.random import random_feeds, resized
from onnxprune.errors import CannotTellError, CheckFailedError
from onnxprune.ir.model import Model
from onnxprune.passes.fold.empty import without_empty
from onnxprune.passes.remove.slicing import remove
from onnxprune.passes.select.alignment import kept_steps
from onnxprune.passes.select.budget import Budget, budgeted, fewest
from onnxprune.passes.select.selection import Selection
from onnxprune.passes.select.targets import Target
from onnxprune.progress import track
from onnxprune.verify.latency import compare_models
from onnxprune.verify.speed import Speedup

_LOG = logging.getLogger(__name__)

CLOSE = 0.05
"""How far below the target the measured ratio may be."""
ROUNDS = 8
_AIM = 0.4
"""Where between the target and the end of what is close enough the next round aims."""

MEASURING_S = 2.0
"""How long a candidate is compared with the original."""
_CAUTION = 0.99
"""How far below the target the upper end of the interval is sought."""

Keeps = dict[Dim, Keep]


@dataclass(frozen=True, slots=True)
class Machine:
    """What latency is measured on.

    Attributes:
        provider: execution provider.
        threads: threads within an operator; 0 for all cores.
        seed: of the inputs to measure with.
    """

    provider: str = "cpu"
    threads: int = 1
    seed: int = 0


def measured_latency(
    selection: Selection,
    target: Target,
    others: Sequence[Budget],
    original: Model,
    machine: Machine,
) -> Keeps:
    """Meet a latency on a machine; see `within_latency`.

    Args:
        selection: what is to be decided.
        target: the latency.
        others: budgets that are met as well.
        original: the model that shares are meant of.
        machine: what is measured on.

    Raises:
        CheckFailedError: the target cannot be met.
        CannotTellError: the measurements are too noisy to show that it is.
        ProviderUnavailableError: the provider is not there.
    """
    analysis = selection.analysis
    least = dict.fromkeys(selection.scores, 1) | fewest(selection)
    steps = kept_steps(analysis, selection.scores, selection.round_to, least)
    table = LatencyTable(
        analysis, steps, provider=machine.provider, threads=machine.threads, known=Measurements()
    )
    shapes = {name: tuple(shape) for name, shape in Sample.of(analysis).shapes.items()}
    feed = random_feeds(resized(input_specs(analysis), shapes), machine.seed)

    def measure(keeps: Keeps) -> Speedup:
        return compare_models(
            original,
            without_empty(analysis, keeps, remove(analysis, keeps)),
            feed,
            narrowed(feed, kept_of_ports(analysis.ports, keeps)),
            provider=machine.provider,
            threads=machine.threads,
            budget_s=MEASURING_S,
            seed=machine.seed,
        )

    return within_latency(selection, target, others, table, measure)[0]


def within_latency(
    selection: Selection,
    target: Target,
    others: Sequence[Budget],
    table: LatencyTable,
    measure: Callable[[Keeps], Speedup],
) -> tuple[Keeps, Speedup]:
    """Keep as much importance as a measured latency allows.

    Args:
        selection: what is to be decided.
        target: the latency, as a share of the original's or in milliseconds.
        others: budgets that are met as well.
        table: latencies of the operators.
        measure: compares the original with what would stay.

    Returns:
        What stays, and how it was measured: the upper end of its interval is not above the target.

    Raises:
        CheckFailedError: the target cannot be met.
        CannotTellError: the measurements are too noisy to show that it is.
    """
    speed = measure({})
    whole = speed.original.p50_ms
    table.whole_is(speed.pruned.p50_ms)
    goal = target.value if target.relative else target.value / whole
    if goal >= 1:
        raise CheckFailedError(
            f"the original takes {whole:.3g} ms already",
            where=f"target {target.value:g} ms",
            hint="there is nothing to do; give a smaller target",
        )
    search = _Search(goal, whole)
    for _ in track(range(ROUNDS), "measuring candidates"):
        limit = search.limit
        try:
            keeps = budgeted(selection, [*others, Budget("latency", limit)], table)
        except CheckFailedError as error:
            search.note_failure(error)
            _LOG.debug("no candidate within %.3g ms: %s", limit, error.message)
            continue
        speed = measure(keeps)
        _LOG.debug("candidate for %.3g ms: %.3g ms", limit, speed.pruned.p50_ms)
        if search.note(keeps, speed):
            break
    return search.found()


class _Search:
    """Looks for the budget, in the table's terms, at which the measured share meets the goal."""

    def __init__(self, goal: float, whole: float) -> None:
        self.limit = (goal - _AIM * CLOSE) * whole
        self._goal = goal
        self._whole = whole
        self._low, self._high = 0.0, whole
        self._last = whole, 1.0
        self._share = self._most = 1.0
        self._reached = False
        self._failure: CheckFailedError | None = None
        self._best: tuple[float, Keeps, Speedup] | None = None

    def note_failure(self, error: CheckFailedError) -> None:
        """The table says that the limit cannot be met."""
        self._failure, self._low = error, self.limit
        self.limit = (self._low + self._high) / 2

    def note(self, keeps: Keeps, speed: Speedup) -> bool:
        """Take a measurement; whether it is close enough."""
        goal, limit = self._goal, self.limit
        share, most = self._share, self._most = 1 / speed.ratio, 1 / speed.low
        if most <= goal and (self._best is None or share > self._best[0]):
            self._best = (share, keeps, speed)
        self._reached = self._reached or share <= goal
        wanted = min(goal - _AIM * CLOSE, _CAUTION * goal * share / most)
        if share < wanted:
            self._low = limit
        else:
            self._high = limit
        guess = _secant(self._last, (limit, share), wanted)
        self._last = limit, share
        between = self._low < guess < self._high
        self.limit = guess if between else (self._low + self._high) / 2
        return most <= goal and share >= goal - CLOSE

    def found(self) -> tuple[Keeps, Speedup]:
        """The best that was measured.

        Raises:
            CheckFailedError: the goal cannot be met.
            CannotTellError: the measurements are too noisy to show that it is.
        """
        if self._best is not None:
            return self._best[1], self._best[2]
        if self._failure is not None and not self._reached:
            raise CheckFailedError(
                f"a latency of {self._goal:.0%} of the original's cannot be met",
                where=f"measured: {self._share:.0%}, at most {self._most:.0%}; "
                f"{self._failure.where}",
                why=self._failure.why,
                hint=self._failure.hint,
            ) from self._failure
        raise CannotTellError(
            "the target latency could not be shown to be met",
            where=f"target {self._goal:.0%} of the original's {self._whole:.3g} ms",
            why=f"after {ROUNDS} rounds the upper end of the measured interval was above it: "
            f"{self._share:.0%}, at most {self._most:.0%}",
            hint="the machine may be busy; try again, or give a target that leaves room",
        )


def _secant(one: tuple[float, float], two: tuple[float, float], wanted: float) -> float:
    """Where the line through two points (limit, share) has the share that is wanted."""
    slope = (one[1] - two[1]) / (one[0] - two[0]) if one[0] != two[0] else 0.0
    return two[0] + (wanted - two[1]) / slope if slope > 0 else 0.0
