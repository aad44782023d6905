"""What a model would cost if groups kept so and so many channels: exact, and quick to update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import prod

from onnxprune.axes import Dim, Keep, Keeps, kept_size
from onnxprune.cost.activations import Activations
from onnxprune.cost.latency import LatencyTable
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.blocks import Block
from onnxprune.coupling.groups import Group, carried
from onnxprune.ir.elements import is_weight_type

QUANTITIES = ("macs", "params", "size", "memory", "latency")
"""What can be counted: multiply-accumulates of a run, elements of weights, bytes of the file, bytes
of activations held at once, and milliseconds."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Totals of a model at the shapes of its analysis.

    Attributes:
        macs: multiply-accumulates of one run.
        params: elements of all weights, quantized ones included.
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
        self._gone: frozenset[str] = frozenset()
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
        params = sum(t.size for t in self._constants.values() if is_weight_type(t.elem_type))
        self._held = sum(self._parts.held.values())
        latency = sum(self._parts.times.values()) + (table.rest_ms if table else 0.0)
        macs = sum(self._parts.macs.values())
        self.totals = Costs(macs, params, sizes, *self._peak({}), latency)

    def _note_carriers(self) -> None:
        """Find out which parts of the model depend on each group."""
        leaves = {group.leaf: group for group in self.counts}
        for place, placed in enumerate(self._analysis.placed):
            for group in carried(placed.site.letters.values(), leaves):
                self._carriers[group].macs[place] = 0
                self._carriers[group].times[place] = 0.0
        for name, value in self._analysis.values.items():
            for group in carried(value.dims, leaves):
                if name in self._constants:
                    self._carriers[group].elements[name] = 0
                elif self._activations is not None and name in self._activations:
                    self._carriers[group].held[name] = 0.0

    def after(self, counts: Mapping[Group, int], block: Block | None = None) -> Costs:
        """The totals if groups kept so many channels.

        Args:
            counts: by group.
            block: what goes whole, with all its nodes.
        """
        return self._changed(counts, block)[0]

    def set(self, counts: Mapping[Group, int], block: Block | None = None) -> None:
        """Let groups keep so many channels; see `after`."""
        self.totals, parts = self._changed(counts, block)
        self._keeps.update((group.leaf, group.first(count)) for group, count in counts.items())
        self.counts.update(counts)
        if block is not None:
            self._gone |= block.names
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

    def _changed(self, counts: Mapping[Group, int], block: Block | None) -> tuple[Costs, _Parts]:
        keeps = {**self._keeps, **{group.leaf: group.first(n) for group, n in counts.items()}}
        now, old = self.totals, self._parts
        concerned = [self._carriers[group] for group in counts]
        gone = self._gone
        if block is not None:
            concerned.append(self._parts_of(block))
            gone = gone | block.names
        new = self._counted(_joined(concerned), keeps, gone)
        params, nbytes = now.params, now.size
        for name, size in new.elements.items():
            tensor = self._constants[name]
            less = old.elements[name] - size
            params -= less if is_weight_type(tensor.elem_type) else 0
            nbytes -= less * tensor.nbytes / max(tensor.size, 1)
        macs = now.macs + sum(n - old.macs[place] for place, n in new.macs.items())
        latency = now.latency + sum(t - old.times[place] for place, t in new.times.items())
        if self._table is not None and self._held:
            less_held = sum(old.held[name] - size for name, size in new.held.items())
            latency -= self._table.rest_ms * less_held / self._held
        return Costs(macs, params, nbytes, *self._peak(new.held), latency), new

    def _parts_of(self, block: Block) -> _Parts:
        """All that goes with a block."""
        return _Parts(
            dict.fromkeys(block.places, 0),
            dict.fromkeys(block.names & self._constants.keys(), 0),
            dict.fromkeys(block.names & self._parts.held.keys(), 0.0),
            dict.fromkeys(block.places, 0.0),
        )

    def _counted(self, parts: _Parts, keeps: Keeps, gone: AbstractSet[str] = frozenset()) -> _Parts:
        """The parts counted with `keeps`, and without some values and what makes them."""
        placed, values, held = self._analysis.placed, self._analysis.values, self._activations
        table = self._table

        def runs(place: int) -> bool:
            return not gone or gone.isdisjoint(placed[place].node.outputs)

        return _Parts(
            {i: placed[i].macs(keeps) if runs(i) else 0 for i in parts.macs},
            {
                name: 0 if name in gone else prod(kept_size(d, keeps) for d in values[name].dims)
                for name in parts.elements
                if name in values
            },
            {n: 0.0 if n in gone else held.nbytes(n, keeps) for n in parts.held} if held else {},
            {i: table.time_ms(i, keeps) if runs(i) else 0.0 for i in parts.times} if table else {},
        )

    def _peak(self, changed: Mapping[str, float]) -> tuple[float, float]:
        if self._activations is None or not self._counts_memory:
            return 0.0, 0.0
        return self._activations.peak({**self._parts.held, **changed})


def _joined(parts: Iterable[_Parts]) -> _Parts:
    """All parts that some of them have."""
    found = _Parts({}, {}, {}, {})
    for part in parts:
        found.macs |= part.macs
        found.elements |= part.elements
        found.held |= part.held
        found.times |= part.times
    return found
