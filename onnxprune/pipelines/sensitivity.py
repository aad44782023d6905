"""What it costs to cut each coupling group of a model by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import DEFAULT_KINDS, Group, choose, find_groups
from onnxprune.data.batches import Batch
from onnxprune.errors import NothingToPruneError, UsageError
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.passes.measure.bench import Bench, run_on
from onnxprune.passes.measure.journal import Journal
from onnxprune.passes.measure.recordings import record
from onnxprune.passes.measure.sensitivity import GroupSensitivity, measure_groups
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.passes.score.scoring import Scoring
from onnxprune.pipelines.inputs import Shapes

RATIOS = (0.1, 0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """What it costs to cut each group.

    Attributes:
        analysis: the model.
        groups: what was measured, in graph order.
        ratios: the fractions asked for; a group loses the nearest whole number of indices.
        metrics: names of what was found out beside the loss.
        samples: number of samples.
        known: number of trials that were known from before.
    """

    analysis: Analysis
    groups: list[GroupSensitivity]
    ratios: tuple[float, ...]
    metrics: tuple[str, ...]
    samples: int
    known: int


def sensitivity(
    model: Model | str | os.PathLike[str],
    data: Iterable[Batch] | None = None,
    *,
    ratios: Sequence[float] = RATIOS,
    criterion: str = "l2",
    kinds: Sequence[str] = DEFAULT_KINDS,
    ignore: Sequence[str] = (),
    allow_io: Sequence[str] = (),
    input_shapes: Shapes | None = None,
    metrics: Sequence[str] = (),
    output: str | None = None,
    seed: int = 0,
    executor: Executor | None = None,
    threads: int = 0,
) -> Sensitivity:
    """Cut each group of a model by itself, and compare the outputs.

    Outcomes are kept in the user's caches as they come, so that a run that was interrupted goes on
    where it was.

    Args:
        model: a loaded model, which is left as it is, or a path.
        data: inputs, such as `open_data` gives; random ones if None.
        ratios: fractions of a group to remove, between 0 and 1.
        criterion: what says which indices go first, one of `CRITERIA`.
        kinds: kinds of groups that are cut.
        ignore: see `RemoveChannels`.
        allow_io: likewise.
        input_shapes: shapes of dynamic inputs, by name.
        metrics: what else to find out: ``top1``, ``agreement``, ``module:function`` and so on.
        output: name of the output that holds the scores; None for the only one that can.
        seed: of random inputs, and of criteria that draw random numbers.
        executor: where trials run, such as a `ProcessPoolExecutor`; here if None. Its processes
            read files in a temporary folder of this machine.
        threads: of each session; 0 for all cores.

    Raises:
        UsageError: an option makes no sense, or the data cannot be read or does not fit.
        ModelError: the model cannot be handled.
        NothingToPruneError: the model has no group to cut.
        RuntimeFailureError: ONNX Runtime cannot run the model.
    """
    _check_ratios(ratios)
    CRITERIA.check(criterion)
    source = model if isinstance(model, Model) else load(model)
    shapes = dict(input_shapes or {})
    analysis = analyse(canonicalise(source, shapes), ignore, allow_io)
    groups = find_groups(analysis)
    scoring = Scoring(analysis, _cuttable(groups, kinds), seed=seed, data=data)
    scores = CRITERIA[criterion](scoring)
    with TemporaryDirectory(prefix="onnxprune-") as folder:
        bench = Bench(
            model=Path(folder) / "model.onnx",
            recordings=record(analysis, scoring.batches(), Path(folder)),
            names=tuple(group.name for group in groups),
            ignore=tuple(ignore),
            allow_io=tuple(allow_io),
            input_shapes=tuple(shapes.items()),
            metrics=tuple(metrics),
            output=output,
            threads=threads,
        )
        if executor is None:
            run = bench.trials(analysis, groups).run
        else:
            source.save(bench.model)
            run = partial(run_on, bench)
        journal = Journal(_digest(bench))
        known = len(journal)
        by_index = {group.index: group for group in groups}
        found = measure_groups(by_index, scores, ratios, journal, run, executor)
    return Sensitivity(
        analysis, found, tuple(ratios), bench.metrics, bench.recordings.samples, known
    )


def _check_ratios(ratios: Iterable[float]) -> None:
    for ratio in ratios:
        if not 0 < ratio < 1:
            raise UsageError(f"a ratio of {ratio:g} cuts nothing or all", hint="0.5 cuts half")


def _cuttable(groups: list[Group], kinds: Sequence[str]) -> list[Group]:
    """The groups of these kinds that have something to lose."""
    chosen = [group for group in choose(groups, kinds) if group.size > 1]
    if not chosen:
        raise NothingToPruneError(
            "the model has no coupling group to cut",
            hint="`onnxprune inspect` says what is blocked and why",
        )
    return chosen


def _digest(bench: Bench) -> str:
    """A name for what outcomes depend on."""
    output = [bench.output] if bench.metrics and bench.output else []
    return "-".join([bench.recordings.digest, *bench.metrics, *output])
