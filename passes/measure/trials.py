"""Trials: some groups of a model lose channels, and its outputs are compared on data.

Nothing is repaired, and nothing else changes: what a trial costs is what these channels are worth
as things are. It runs the smaller model, not a masked one: that is faster, and the same by proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group
from onnxprune.coupling.ports import kept_of_ports
from onnxprune.data.batches import Batch
from onnxprune.data.narrow import narrowed
from onnxprune.errors import UsageError
from onnxprune.passes.fold.empty import without_empty
from onnxprune.passes.measure.recordings import Recordings, record
from onnxprune.passes.remove.slicing import remove
from onnxprune.verify.evaluation import MetricLike, metric_of
from onnxprune.verify.fidelity import Fidelities
from onnxprune.verify.sessions import session_of

SAMPLES = 128
"""So many samples tell what a channel or a block is worth."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial came to.

    Attributes:
        loss: squared deviation of the outputs as a share of their squares, averaged over outputs;
            infinite where outputs are not finite that were.
        angle: what of it is left if each output may be scaled; see `Fidelities.angle`.
        scores: metrics of the pruned model, by name.
    """

    loss: float
    angle: float = 0.0
    scores: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Which indices some groups keep.

    Attributes:
        masks: what stays, by the group's index.
    """

    masks: Mapping[int, Mask]

    def key(self, groups: Mapping[int, Group]) -> str:
        """A name for it that tells it from all other trials of the same model."""
        digest = hashlib.sha256()
        for index, mask in sorted(self.masks.items()):
            digest.update(f"{index}|{groups[index].name}|{mask.shape}|".encode())
            digest.update(np.packbits(mask).tobytes())
        return digest.hexdigest()[:32]


@contextmanager
def trials_on(
    analysis: Analysis, groups: Iterable[Group], data: Iterable[Batch]
) -> Generator[Trials]:
    """Trials on some samples of data, which are kept in files meanwhile.

    Args:
        analysis: the model.
        groups: those that trials speak of.
        data: inputs of the model; `SAMPLES` of them are gone through once a trial.
    """
    with TemporaryDirectory(prefix="onnxprune-") as folder:
        recordings = record(analysis, data, Path(folder), SAMPLES)
        yield Trials(analysis, {group.index: group for group in groups}, recordings)


class Trials:
    """A model and data to try it on.

    Attributes:
        groups: the coupling groups, by their index.
        recordings: inputs, and the outputs to compare with.
    """

    def __init__(
        self,
        analysis: Analysis,
        groups: Mapping[int, Group],
        recordings: Recordings,
        metrics: Sequence[MetricLike] = (),
        output: str | None = None,
        threads: int = 0,
    ) -> None:
        """Prepare.

        Args:
            analysis: the model.
            groups: its coupling groups.
            recordings: inputs, and the outputs to compare with; gone through once a trial.
            metrics: what else to find out; see `metric_of`.
            output: name of the output that holds the scores; None for the only one that can.
            threads: of a session; 0 for all cores.
        """
        self._threads = threads
        self.groups = groups
        self._analysis = analysis
        self.recordings = recordings
        self._metrics = tuple(metrics)
        self._output = output

    def run(self, trial: Trial) -> Outcome:
        """Try what a trial says.

        Raises:
            UsageError: the model has no output to compare, a metric does not fit it, or labels are
                missing.
            RuntimeFailureError: ONNX Runtime cannot run the smaller model.
        """
        keeps: dict[Dim, Keep] = {
            self.groups[index].leaf: Keep(mask, self.groups[index].over if mask.ndim > 1 else None)
            for index, mask in trial.masks.items()
        }
        ports = kept_of_ports(self._analysis.ports, keeps)
        fidelities = Fidelities()
        metrics = [metric_of(metric, self._output) for metric in self._metrics]
        samples = 0
        smaller = without_empty(self._analysis, keeps, remove(self._analysis, keeps))
        with session_of(smaller, threads=self._threads, optimization="all") as session:
            for batch, outputs in self.recordings:
                before = narrowed(outputs, ports)
                after = session.run(narrowed(batch.feeds, ports), list(before))
                fidelities.add(before, after)
                for metric in metrics:
                    metric.add(before, after, batch.labels, batch.size)
                samples += batch.size
        scores = {metric.name: metric.score(samples).pruned for metric in metrics}
        noise, angle = fidelities.noise(), fidelities.angle()
        if noise is None or angle is None:
            raise UsageError(
                "the model has no output of floating-point numbers that could be compared",
                hint="measure a model that ends with scores, not with what was chosen by them",
            )
        return Outcome(noise, angle, scores)
