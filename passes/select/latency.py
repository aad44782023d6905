"""A target latency: by a table of single operators first, then measured on the whole model.

The table says which channels to remove; it does not know what a runtime fuses. So the pruned model
is measured against the original, and the budget in the table's terms is moved by the error until
the measured ratio meets the target.
"""

from __future__ import annotations

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
from onnxprune.passes.remove.slicing import remove
from onnxprune.passes.select.alignment import kept_steps
from onnxprune.passes.select.budget import Budget, budgeted, fewest
from onnxprune.passes.select.selection import Selection
from onnxprune.passes.select.targets import Target
from onnxprune.verify.latency import compare_models
from onnxprune.verify.speed import Speedup

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
            remove(analysis, keeps) if keeps else original,
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
    whole = measure({}).original.p50_ms
    table.whole_is(whole)
    goal = target.value if target.relative else target.value / whole
    if goal >= 1:
        raise CheckFailedError(
            f"the original takes {whole:.3g} ms already",
            where=f"target {target.value:g} ms",
            hint="there is nothing to do; give a smaller target",
        )
    aim = goal - _AIM * CLOSE
    low, high, limit = 0.0, whole, aim * whole
    best: tuple[float, Keeps, Speedup] | None = None
    share = most = 1.0
    failure: CheckFailedError | None = None
    before: tuple[float, float] = (whole, 1.0)
    reached = False
    for _ in range(ROUNDS):
        try:
            keeps = budgeted(selection, [*others, Budget("latency", limit)], table)
        except CheckFailedError as error:
            failure, low = error, limit
            limit = (low + high) / 2
            continue
        speed = measure(keeps)
        share, most = 1 / speed.ratio, 1 / speed.low
        if most <= goal and (best is None or share > best[0]):
            best = (share, keeps, speed)
        if most <= goal and share >= goal - CLOSE:
            break
        reached = reached or share <= goal
        wanted = min(aim, _CAUTION * goal * share / most)
        low, high = (limit, high) if share < wanted else (low, limit)
        guess = _secant(before, (limit, share), wanted)
        before = limit, share
        limit = guess if low < guess < high else (low + high) / 2
    if best is None and failure is not None and not reached:
        raise CheckFailedError(
            f"a latency of {goal:.0%} of the original's cannot be met",
            where=f"measured: {share:.0%}, at most {most:.0%}; {failure.where}",
            why=failure.why,
            hint=failure.hint,
        ) from failure
    if best is None:
        raise CannotTellError(
            "the target latency could not be shown to be met",
            where=f"target {goal:.0%} of the original's {whole:.3g} ms",
            why=f"after {ROUNDS} rounds the upper end of the measured interval was above it: "
            f"{share:.0%}, at most {most:.0%}",
            hint="the machine may be busy; try again, or give a target that leaves room",
        )
    return best[1], best[2]


def _secant(one: tuple[float, float], two: tuple[float, float], wanted: float) -> float:
    """Where the line through two points (limit, share) has the share that is wanted."""
    slope = (one[1] - two[1]) / (one[0] - two[0]) if one[0] != two[0] else 0.0
    return two[0] + (wanted - two[1]) / slope if slope > 0 else 0.0
