"""What a model would cost if groups kept so and so many channels: exact, and quick to update."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

from onnxprune.axes import Dim, Keep, Keeps, kept_size
from onnxprune.cost.activations import Activations
from onnxprune.cost.latency import LatencyTable
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group
from onnxprune.ir.tensors import is_float_type

QUANTITIES = ("macs", "params", "size", "memory", "latency")
"""What can be counted: multiply-accumulates of a run, elements of floating-point constants, bytes
of the file, bytes of activations held at once, and milliseconds."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Totals of a model at the shapes of its analysis.

    Attributes:
        macs: multiply-accumulates of one run.
        params: elements of all floating-point constants.
        size: bytes of the file.
        memory: most bytes of activations held at once; see `Activations`.
        pressure: a smooth number that follows `memory`.
        latency: milliseconds for one sample, by a table of measurements; see `LatencyTable`.
    """

    macs: float
    params: float
    size: float
    memory: float
    pressure: float
    latency: float = 0.0

    def __getitem__(self, quantity: str) -> float:
        """One of the totals by its name in `QUANTITIES`."""
        value: float = getattr(self, quantity)
        return value


@dataclass(slots=True)
class _Parts:
    """What the parts of a model cost by themselves.

    Attributes:
        macs: by place of the node.
        elements: by constant.
        held: bytes by activation.
        times: milliseconds by place of the node.
    """

    macs: dict[int, int]
    elements: dict[str, int]
    held: dict[str, float]
    times: dict[int, float]


class Ledger:
    """Costs of a model while its groups shrink.

    Every operator, weight and activation is counted once; a change of a group counts again those
    that carry it.
    """

    def __init__(
        self,
        analysis: Analysis,
        groups: Iterable[Group],
        *,
        memory: bool = True,
        table: LatencyTable | None = None,
    ) -> None:
        """Count a model with all its channels.

        Args:
            analysis: the model.
            groups: the groups that will change.
            memory: whether the memory of activations is asked for.
            table: latencies, if these are asked for.
        """
        self._table = table
        self._analysis = analysis
        self._constants = analysis.canonical.model.constants
        self._activations = Activations(analysis) if memory or table else None
        self._counts_memory = memory
        self._keeps: dict[Dim, Keep] = {}
        self.counts = {group: group.size for group in groups}
        self._carriers = {group: _Parts({}, {}, {}, {}) for group in self.counts}
        self._note_carriers()
        everything = _Parts(
            dict.fromkeys(range(len(analysis.placed)), 0),
            {name: tensor.size for name, tensor in self._constants.items()},
            dict.fromkeys(self._activations or (), 0.0),
            dict.fromkeys(range(len(analysis.placed)), 0.0),
        )
        self._parts = self._counted(everything, {})
        self._parts.elements = everything.elements
        sizes = analysis.canonical.model.size_bytes
        params = sum(t.size for t in self._constants.values() if is_float_type(t.elem_type))
        self._held = sum(self._parts.held.values())
        latency = sum(self._parts.times.values()) + (table.rest_ms if table else 0.0)
        macs = sum(self._parts.macs.values())
        self.totals = Costs(macs, params, sizes, *self._peak({}), latency)

    def _note_carriers(self) -> None:
        """Find out which parts of the model depend on each group."""
        leaves = {group.leaf: group for group in self.counts}
        for place, placed in enumerate(self._analysis.placed):
            for group in _carried(placed.site.letters.values(), leaves):
                self._carriers[group].macs[place] = 0
                self._carriers[group].times[place] = 0.0
        for name, value in self._analysis.values.items():
            for group in _carried(value.dims, leaves):
                if name in self._constants:
                    self._carriers[group].elements[name] = 0
                elif self._activations is not None and name in self._activations:
                    self._carriers[group].held[name] = 0.0

    def after(self, group: Group, count: int) -> Costs:
        """The totals if `group` kept `count` channels."""
        return self._changed(group, count)[0]

    def set(self, group: Group, count: int) -> None:
        """Let `group` keep `count` channels."""
        self.totals, parts = self._changed(group, count)
        self._keeps[group.leaf] = group.first(count)
        self.counts[group] = count
        self._parts.macs.update(parts.macs)
        self._parts.elements.update(parts.elements)
        self._parts.held.update(parts.held)
        self._parts.times.update(parts.times)

    def largest(self, quantity: str, count: int = 3) -> list[str]:
        """What costs most, in words: nodes, constants or activations."""
        placed, parts = self._analysis.placed, self._parts
        by_place = parts.times if quantity == "latency" else parts.macs
        found: Mapping[str, float] = {placed[i].node.name: n for i, n in by_place.items()}
        if quantity not in ("macs", "latency"):
            found = parts.held if quantity == "memory" else parts.elements
        total = self.totals.memory if quantity == "memory" else max(sum(found.values()), 1)
        ranked = sorted(found.items(), key=lambda item: -item[1])[:count]
        return [f"{name} {part / total:.1%}" for name, part in ranked]

    def _changed(self, group: Group, count: int) -> tuple[Costs, _Parts]:
        keeps = {**self._keeps, group.leaf: group.first(count)}
        now, old = self.totals, self._parts
        new = self._counted(self._carriers[group], keeps)
        params, nbytes = now.params, now.size
        for name, size in new.elements.items():
            tensor = self._constants[name]
            less = old.elements[name] - size
            params -= less if is_float_type(tensor.elem_type) else 0
            nbytes -= less * tensor.nbytes / max(tensor.size, 1)
        macs = now.macs + sum(n - old.macs[place] for place, n in new.macs.items())
        latency = now.latency + sum(t - old.times[place] for place, t in new.times.items())
        if self._table is not None and self._held:
            less_held = sum(old.held[name] - size for name, size in new.held.items())
            latency -= self._table.rest_ms * less_held / self._held
        return Costs(macs, params, nbytes, *self._peak(new.held), latency), new

    def _counted(self, parts: _Parts, keeps: Keeps) -> _Parts:
        """The parts counted with `keeps`."""
        values, held = self._analysis.values, self._activations
        return _Parts(
            {place: self._analysis.placed[place].macs(keeps) for place in parts.macs},
            {
                name: prod(kept_size(dim, keeps) for dim in values[name].dims)
                for name in parts.elements
                if name in values
            },
            {name: held.nbytes(name, keeps) for name in parts.held} if held else {},
            {i: self._table.time_ms(i, keeps) for i in parts.times} if self._table else {},
        )

    def _peak(self, changed: Mapping[str, float]) -> tuple[float, float]:
        if self._activations is None or not self._counts_memory:
            return 0.0, 0.0
        return self._activations.peak({**self._parts.held, **changed})


def _carried(dims: Iterable[Dim], leaves: Mapping[Dim, Group]) -> Iterator[Group]:
    for leaf in {leaf for dim in dims for leaf in dim.leaves()} & leaves.keys():
        yield leaves[leaf]
