"""A bench: what other processes need to run trials on their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, find_groups
from onnxprune.errors import InternalError
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.load import load
from onnxprune.passes.measure.recordings import Recordings
from onnxprune.passes.measure.trials import Outcome, Trial, Trials

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Bench:
    """A model file with the files to try it on; processes read both.

    Attributes:
        model: the file.
        recordings: inputs and outputs of the original.
        names: of the coupling groups; another process must find the same ones.
        ignore: see `analyse`.
        allow_io: likewise.
        input_shapes: shapes of dynamic inputs that the user gave.
        metrics: names of metrics.
        output: name of the output that holds the scores.
        threads: of a session; 0 for all cores.
    """

    model: Path
    recordings: Recordings
    names: tuple[str, ...]
    ignore: tuple[str, ...] = ()
    allow_io: tuple[str, ...] = ()
    input_shapes: Shapes = ()
    metrics: tuple[str, ...] = ()
    output: str | None = None
    threads: int = 0

    def trials(self, analysis: Analysis, groups: Iterable[Group]) -> Trials:
        """The trials themselves, of the model as it is analysed in this process."""
        by_index = {group.index: group for group in groups}
        given = (self.recordings, self.metrics, self.output, self.threads)
        return Trials(analysis, by_index, *given)


@lru_cache(maxsize=1)
def _opened(bench: Bench) -> Trials:
    canonical = canonicalise(load(bench.model), dict(bench.input_shapes))
    analysis = analyse(canonical, bench.ignore, bench.allow_io)
    groups = find_groups(analysis)
    if tuple(group.name for group in groups) != bench.names:
        raise InternalError("another process found other coupling groups", where=str(bench.model))
    return bench.trials(analysis, groups)


def run_on(bench: Bench, trial: Trial) -> Outcome:
    """Run a trial, in whatever process this is called."""
    return _opened(bench).run(trial)
