"""Sensitivity: what it costs to cut each group by itself, by so much and so much.

Source: H. Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass

from onnxprune.coupling.groups import Group
from onnxprune.passes.measure.journal import Journal
from onnxprune.passes.measure.trials import Outcome, Trial
from onnxprune.passes.score.scoring import Scores
from onnxprune.passes.select.selection import keep_best
from onnxprune.progress import track


@dataclass(frozen=True, slots=True, eq=False)
class GroupSensitivity:
    """What it costs to cut one group.

    Attributes:
        group: the group.
        outcomes: by the number of indices removed, in rising order.
    """

    group: Group
    outcomes: Mapping[int, Outcome]


def measure_groups(
    groups: Mapping[int, Group],
    scores: Mapping[Group, Scores],
    ratios: Iterable[float],
    journal: Journal,
    run: Callable[[Trial], Outcome],
    executor: Executor | None = None,
) -> list[GroupSensitivity]:
    """Cut each group by itself, the least important indices first.

    Args:
        groups: all groups of the model, by their index.
        scores: importance of those that are cut.
        ratios: fractions to remove, between 0 and 1; one that is no index of a group is left out.
        journal: knows what was measured before, and learns the rest.
        run: runs a trial; with an executor it goes to other processes.
        executor: where trials run; here, one after the other, if None.

    Raises:
        UsageError: a metric does not fit the model.
        RuntimeFailureError: ONNX Runtime cannot run a smaller model.
    """
    cuts = {group: _cuts(group, ratios) for group in scores}
    trials = {
        (group, cut): Trial({group.index: keep_best(group, scores[group], group.size - cut).mask})
        for group, several in cuts.items()
        for cut in several
    }
    keys = {place: trial.key(groups) for place, trial in trials.items()}
    missing = {keys[p]: trial for p, trial in trials.items() if keys[p] not in journal}
    for key, outcome in track(_ran(missing, run, executor), "measuring groups", len(missing)):
        journal.add(key, outcome)
    return [
        GroupSensitivity(group, {cut: journal[keys[group, cut]] for cut in several})
        for group, several in cuts.items()
    ]


def _cuts(group: Group, ratios: Iterable[float]) -> list[int]:
    """Numbers of indices to remove; one stays at least."""
    return sorted({round(group.size * ratio) for ratio in ratios} & set(range(1, group.size)))


def _ran(
    trials: Mapping[str, Trial], run: Callable[[Trial], Outcome], executor: Executor | None
) -> Iterator[tuple[str, Outcome]]:
    """What trials come to, in the order in which they end."""
    if executor is None:
        yield from ((key, run(trial)) for key, trial in trials.items())
        return
    futures = {executor.submit(run, trial): key for key, trial in trials.items()}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()
