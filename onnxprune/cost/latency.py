"""What operators take at other widths: a table of measurements of each by itself.

Every operator that multiplies is measured on the execution provider as a model of its own, at some
widths of each of the groups that it carries; between these the table interpolates. Measurements
are kept on disk, so that a second model with the same layers, or a second target, costs nothing.

What it costs to run a model that does nothing is taken off. The whole is not the sum of its parts:
runtimes fuse operators, and what they do between layers costs as well. The rest of the measured
latency of the whole model is taken to follow the bytes of its activations; what is still wrong
then, closing the loop on the whole model makes good.
"""

from __future__ import annotations

import json
import logging
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import product
from statistics import median

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keep, Keeps, kept_size
from onnxprune.cost.measurements import Measurements
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group, carried
from onnxprune.ir.edit import NodeEdit
from onnxprune.ir.measure import simple_feeds
from onnxprune.ir.model import Model
from onnxprune.ir.single import nothing_to_do, single_node
from onnxprune.progress import track
from onnxprune.runtime import Session

_LOG = logging.getLogger(__name__)

_SHARES = (1.0, 0.75, 0.5, 0.25, 0.1)
"""Widths that are measured, as shares."""
_FEW_SHARES = (1.0, 0.5, 0.1)
"""The same for operators that carry more than two groups."""
_LEAST_NS = 1_000_000
_TURNS = 5
_LEAST_SHARE = 0.1
"""Of what an operator takes with the call around it, at least so much is its own."""


class LatencyTable:
    """Latencies of the operators of one model, at one sample where the batch is free.

    Attributes:
        rest_ms: latency of the whole model that no operator accounts for.
    """

    def __init__(
        self,
        analysis: Analysis,
        steps: Mapping[Group, Sequence[int]],
        *,
        provider: str,
        threads: int,
        known: Measurements | None = None,
    ) -> None:
        """Measure what is not known yet.

        Args:
            analysis: the model.
            steps: the numbers of indices that each group may keep, largest first.
            provider: execution provider.
            threads: threads within an operator; 0 for all cores.
            known: measurements of before; new ones are added.

        Raises:
            ProviderUnavailableError: the provider is not there.
        """
        self._analysis = analysis
        self._provider, self._threads = provider, threads or os.cpu_count() or 1
        self._known = known or Measurements()
        self._call_ms = self._timed(nothing_to_do(), {"x": (1,)})
        sample = {name: tuple(shape) for name, shape in Sample.of(analysis).shapes.items()}
        self._shapes = analysis.canonical.at(sample).facts.shapes
        leaves = {group.leaf: group for group in steps}
        places = [i for i, p in enumerate(analysis.placed) if p.macs({}) and not p.node.within]
        self._grids: dict[int, Grid] = {}
        for place in track(places, "measuring operators"):
            groups = carried(analysis.placed[place].site.letters.values(), leaves)
            self._grids[place] = self._measured(place, {group: steps[group] for group in groups})
        self._known.save()
        self.rest_ms = 0.0

    def time_ms(self, place: int, keeps: Keeps) -> float:
        """Latency of the operator at a place; 0 for those that do not multiply."""
        grid = self._grids.get(place)
        return 0.0 if grid is None else grid.at(keeps)

    def whole_is(self, latency_ms: float) -> None:
        """Say what the whole model takes: what its operators do not explain is the rest."""
        self.rest_ms = max(latency_ms - sum(grid.at({}) for grid in self._grids.values()), 0.0)

    def _measured(self, place: int, steps: Mapping[Group, Sequence[int]]) -> Grid:
        shares = _SHARES if len(steps) <= 2 else _FEW_SHARES
        ticks = [_nearest(counts, shares) for counts in steps.values()]
        times = np.zeros([len(counts) for counts in ticks])
        for index in product(*(range(len(counts)) for counts in ticks)):
            counts = [ticks[axis][at] for axis, at in enumerate(index)]
            keeps = {g.leaf: g.first(n) for g, n in zip(steps, counts, strict=True)}
            times[index] = self._time_of(place, keeps)
        return Grid([group.leaf for group in steps], ticks, times)

    def _time_of(self, place: int, keeps: Mapping[Dim, Keep]) -> float:
        placed, values = self._analysis.placed[place], self._analysis.values
        names = [name for name in (*placed.node.inputs, *placed.node.outputs) if name]
        shapes = {name: self._shape(name, keeps) for name in names if name in values}
        rewrite = placed.operator.rewritten(placed.site, keeps) if placed.operator else None
        edit = NodeEdit(rewrite.attributes, rewrite.inputs) if rewrite else NodeEdit()
        facts, model = self._analysis.canonical.facts, self._analysis.canonical.model
        inputs = [name for name in placed.node.inputs if name]
        key = self._key(
            placed.node.domain,
            placed.node.op_type,
            sorted((k, str(v)) for k, v in {**placed.node.attributes, **edit.attributes}.items()),
            [(shapes.get(n), facts.elem_types.get(n), n in model.constants) for n in inputs],
            model.opset.get(placed.node.domain, 0),
        )
        known = key in self._known
        _LOG.debug("%s of %s", "cache hit" if known else "cache miss", placed.node.name)
        if not known:
            single = single_node(model, place, edit, shapes, facts.elem_types)
            took = self._timed(single, shapes)
            self._known[key] = max(took - self._call_ms, _LEAST_SHARE * took)
        return self._known[key]

    def _timed(self, model: Model, shapes: Mapping[str, tuple[int, ...]]) -> float:
        session = Session(model.to_bytes(), provider=self._provider, threads=self._threads)
        return timed_ms(session, simple_feeds(model, shapes, 0))

    def _shape(self, name: str, keeps: Keeps) -> tuple[int, ...]:
        """The shape at one sample: what stays of the analysed shape, brought to the sample's."""
        value, sample = self._analysis.values[name], self._shapes.get(name)
        kept = [kept_size(dim, keeps) for dim in value.dims]
        if sample is None or len(sample) != len(kept):
            return tuple(kept)
        return tuple(
            n * one // max(many, 1) for n, one, many in zip(kept, sample, value.shape, strict=True)
        )

    def _key(self, *parts: object) -> str:
        text = json.dumps([*parts, self._provider, self._threads], default=str)
        return sha256(text.encode()).hexdigest()[:32]


def _nearest(counts: Sequence[int], shares: Sequence[float]) -> list[int]:
    """The counts nearest to shares of the largest, ascending."""
    wanted = [share * counts[0] for share in shares]
    return sorted({min(counts, key=lambda count: abs(count - want)) for want in wanted})


class Grid:
    """Latencies of one operator, by how much is kept of each of its groups."""

    def __init__(
        self, leaves: list[Dim], ticks: list[list[int]], times: npt.NDArray[np.float64]
    ) -> None:
        """Of measurements `times`, an axis for each of `leaves`, at the counts `ticks`."""
        self._leaves = leaves
        self._ticks = ticks
        self._times = times

    def at(self, keeps: Keeps) -> float:
        """Interpolate, along one group after the other."""
        times = self._times
        for leaf, ticks in zip(self._leaves, self._ticks, strict=True):
            count = keeps[leaf].count if leaf in keeps else leaf.size
            if len(ticks) == 1:
                times = times[0]
                continue
            at = min(max(bisect_right(ticks, count) - 1, 0), len(ticks) - 2)
            share = (count - ticks[at]) / (ticks[at + 1] - ticks[at])
            times = times[at] * (1 - share) + times[at + 1] * share
        return float(times)


def timed_ms(session: Session, feeds: Mapping[str, npt.NDArray[np.generic]]) -> float:
    """The median latency of a session on fixed inputs."""
    run = session.timed(feeds)
    first = max(run.time_ns(), run.time_ns())
    repeats = max(1, _LEAST_NS // max(first, 1))
    return median(run.time_ns(repeats) / repeats for _ in range(_TURNS)) / 1e6
