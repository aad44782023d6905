"""The layers of a model before and after, for the record: widths, multiply-accumulates, weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import prod
from typing import Any

from onnxprune.axes import Dim, Keeps, kept_size
from onnxprune.cost.macs import NOTHING
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed
from onnxprune.reports.kernels import Kernels, layer_times

Entry = dict[str, Any]


def describe_layers(
    first: Analysis,
    last: Analysis,
    keeps: Keeps = NOTHING,
    made: Collection[str] | None = None,
    kernels: tuple[Kernels, Kernels] | None = None,
) -> list[Entry]:
    """The layers of the original in graph order, each with what is left of it.

    A layer is a node with multiply-accumulates that reads a weight.

    Args:
        first: the original.
        last: the pruned model, or the one that it was made of.
        keeps: what stays of `last`.
        made: the values that are still computed, if not all are.
        kernels: profiles of `first` and `last`, if they were made.
    """
    before, after = _Measures(first, NOTHING), _Measures(last, keeps)
    if kernels is not None:
        for side, profile in zip((before, after), kernels, strict=True):
            side.note_times(profile)
    left = {
        placed.node.outputs[0]: placed
        for placed in last.placed
        if made is None or any(name in made for name in placed.node.outputs)
    }
    entries: list[Entry] = []
    for placed, operand, weight in _layers(first):
        now = left.get(placed.node.outputs[0])
        if now is not None and not now.macs(keeps):
            now = None
        entries.append(
            {
                "node": placed.node.name,
                "op_type": placed.node.op_type,
                "weight": first.canonical.provenance.get(weight, weight),
                "before": before.of(placed, operand),
                "after": None if now is None else after.of(now, operand),
            }
        )
    return entries


def _layers(analysis: Analysis) -> Iterator[tuple[Placed, int, str]]:
    """The layers, each with the operand that holds its largest weight, and that weight."""
    weights = set(analysis.weights) - analysis.steps
    for placed in analysis.placed:
        summed = {role.operand for role in placed.site.roles if role.name == "contracted"}
        found = [
            (analysis.parameters(weight), -operand, weight)
            for operand in summed
            if 0 <= operand < len(placed.node.inputs)
            for weight in analysis.sources.get(placed.node.inputs[operand], frozenset()) & weights
        ]
        if found and placed.macs(NOTHING):
            _, operand, weight = max(found)
            yield placed, -operand, weight


class _Measures:
    """What the layers of one model are, where some of its channels are gone."""

    def __init__(self, analysis: Analysis, keeps: Keeps) -> None:
        self._analysis = analysis
        self._keeps = keeps
        self._sample = Sample.of(analysis)
        self._weights = set(analysis.weights) - analysis.steps
        self._times: Mapping[str, float] = {}

    def note_times(self, kernels: Kernels) -> None:
        """Take the layers' times out of a profile."""
        layers = {p.node.name: p.node.op_type for p, _, _ in _layers(self._analysis)}
        self._times = layer_times(self._analysis, layers, kernels)

    def of(self, placed: Placed, operand: int) -> Entry:
        """What a layer reads, makes and costs; groups of a convolution count on both sides."""
        inputs, outputs = self._widths(placed, operand)
        return {
            "inputs": prod(kept_size(dim, self._keeps) for dim in inputs),
            "outputs": prod(kept_size(dim, self._keeps) for dim in outputs),
            "macs": self._sample.share(placed.macs(self._keeps)),
            "parameters": self._parameters(placed),
            "latency_us": self._times.get(placed.node.name),
        }

    def _widths(self, placed: Placed, operand: int) -> tuple[list[Dim], list[Dim]]:
        """What a layer sums over, and what its weight makes."""
        inputs, outputs, shared = dict[Dim, None](), dict[Dim, None](), set[Dim]()
        for role in placed.site.roles:
            flows = 0 <= role.operand != operand
            if flows and placed.node.inputs[role.operand] not in self._analysis.sources:
                shared.add(role.dim)
        for role in placed.site.roles:
            if role.operand != operand:
                continue
            if role.name == "contracted" or (role.name == "batch" and role.dim in shared):
                inputs[role.dim] = None
            if role.name in ("outer", "batch"):
                outputs[role.dim] = None
        return list(inputs), list(outputs)

    def _parameters(self, placed: Placed) -> int:
        """Numbers in all weights that a node reads."""
        sources = (self._analysis.sources.get(name, frozenset()) for name in placed.node.inputs)
        return sum(
            self._analysis.held(weight)
            * prod(kept_size(dim, self._keeps) for dim in self._analysis.values[weight].dims)
            for weight in self._weights.intersection(frozenset[str]().union(*sources))
        )
