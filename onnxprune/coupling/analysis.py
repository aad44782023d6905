"""From a canonical model to dims: every operator says how its axes belong together.

`analyse` makes one atomic dim for each axis of each tensor, inside the bodies of control flow as
well, applies the operators' signatures in graph order, and blocks what nobody can answer for: what
the outside world sees of graph inputs and outputs, and what operators without a signature touch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy.typing as npt

from onnxprune.axes import Dim, DimSpace, resolve_shuffle
from onnxprune.coupling.placed import Placed
from onnxprune.coupling.ports import Port, find_ports
from onnxprune.coupling.ragged import Partners
from onnxprune.errors import ModelError
from onnxprune.ir.bindings import graph_inputs
from onnxprune.ir.canonical import Canonical
from onnxprune.ir.elements import is_weight_type
from onnxprune.ir.graph import Node, matches, nodes
from onnxprune.ops.encoding import Encoding
from onnxprune.ops.operator import Operator
from onnxprune.ops.registry import lookup
from onnxprune.ops.site import Interface, Site, Value
from onnxprune.progress import track

_LOG = logging.getLogger(__name__)

FACTORS_READ = 16
"""Vectors of so many floats may be factors of a Resize."""


@dataclass(slots=True, eq=False)
class Analysis:
    """What is known of a model's axes.

    Attributes:
        canonical: the model that was analysed.
        space: the dims, with the log of what was unified and blocked.
        values: every value with a known shape, by name.
        placed: the nodes in order.
        sources: the constants that a value is computed from, for values that need nothing else.
        encoded: the operator that reads a constant of integers as numbers, and how.
        decoded: those integers, by the value of the numbers that an operator makes of nothing else.
        steps: scales and zero points: they say how to read integers, and make nothing.
        unknown: operator types without a signature, with the nodes that have them.
        opened: axes of graph inputs and outputs that may be pruned, as asked.
    """

    canonical: Canonical
    space: DimSpace
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    placed: list[Placed] = field(default_factory=list[Placed])
    sources: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    encoded: dict[str, tuple[Placed, Encoding]] = field(
        default_factory=dict[str, tuple[Placed, Encoding]]
    )
    decoded: dict[str, str] = field(default_factory=dict[str, str])
    steps: set[str] = field(default_factory=set[str])
    unknown: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    opened: frozenset[Port] = frozenset()

    @property
    def ports(self) -> list[Value]:
        """What the user feeds and gets, as far as its shape is known."""
        return [self.values[name] for name in _port_shapes(self.canonical) if name in self.values]

    @property
    def weights(self) -> list[str]:
        """Constants of more than one number, integers that stand for numbers too, in file order.

        Narrow integers do so even where no operator tells how.
        """
        constants = self.canonical.model.constants
        return [
            name
            for name, tensor in constants.items()
            if (is_weight_type(tensor.elem_type) or name in self.encoded)
            and tensor.size > 1
            and name in self.values
        ]

    def held(self, weight: str) -> int:
        """How many numbers each element of a weight holds."""
        if weight not in self.encoded:
            return 1
        placed, encoding = self.encoded[weight]
        return encoding.held(placed.site)

    def in_blocks(self, weight: str) -> bool:
        """Whether an axis of a weight counts blocks of numbers."""
        return weight in self.encoded and self.encoded[weight][1].in_blocks

    def parameters(self, weight: str) -> int:
        """How many numbers a weight holds."""
        return self.canonical.model.constants[weight].size * self.held(weight)

    def numbers(self, weight: str) -> npt.NDArray[Any]:
        """The elements of a weight, as the numbers that they stand for.

        Raises:
            ModelError: its data cannot be read.
        """
        constants = self.canonical.model.constants
        if weight not in self.encoded:
            return constants[weight].numpy()
        placed, encoding = self.encoded[weight]
        return encoding.decoded(placed.site, placed.reader(constants))

    def weight_of(self, name: str) -> str:
        """The weight that a value is: itself, or the integers that it is decoded from; else ""."""
        constants = self.canonical.model.constants
        return name if name in constants else self.decoded.get(name, "")


def analyse(
    canonical: Canonical, ignore: Iterable[str] = (), allow_io: Iterable[str] = ()
) -> Analysis:
    """Find out which axes of a model belong together, and which can never be pruned.

    Args:
        canonical: the model.
        ignore: glob patterns over node names, operator types, value names and names of bodies;
            whatever a matching node, or one in a matching body, reads or makes is blocked.
        allow_io: axes of graph inputs and outputs that may be pruned; see `find_ports`.

    Raises:
        ModelError: shapes contradict an operator's definition.
        UsageError: `allow_io` names what there is not.
    """
    start = perf_counter()
    patterns = list(ignore)
    opened = find_ports(_port_shapes(canonical), allow_io)
    analysis = _analyse(canonical, patterns, opened)
    if canonical.second is not None:
        twin = replace(canonical, facts=canonical.second)
        _block_coincidences(analysis, _analyse(twin, patterns, opened))
    _LOG.debug(
        "analysed %d nodes and %d values, %d unknown operators, %.2f s",
        *(len(analysis.placed), len(analysis.values), len(analysis.unknown)),
        perf_counter() - start,
    )
    return analysis


def _analyse(canonical: Canonical, patterns: list[str], opened: frozenset[Port]) -> Analysis:
    analysis = Analysis(canonical, DimSpace(), opened=opened)
    order = nodes(canonical.model.proto)
    _add_sources(analysis, order)
    versions = canonical.model.opset
    skipped = ignored(order, patterns) if patterns else ()
    for node in track(order, "relating axes"):
        _place(analysis, node, versions)
        if node.outputs[:1] in skipped:
            analysis.placed[-1].site.block_all("ignored as asked")
    _count_runs(analysis)
    _block_sizes_read(analysis)
    _block_borders(analysis)
    _settle(analysis)
    return analysis


def _settle(analysis: Analysis) -> None:
    """Block what clashes, but for shuffles."""
    space = analysis.space
    inner = [run[-1].root for clash in space.waiting for run in clash.runs]
    partners = Partners(analysis.values, analysis.placed, inner)
    space.settle(lambda clash: resolve_shuffle(space, clash, partners.may_differ))


def _count_runs(analysis: Analysis) -> None:
    """Count the runs of nodes in loops, from the outer loops to the inner."""
    trips = analysis.canonical.facts.trips
    runs: dict[str, int] = {}
    for placed in reversed(analysis.placed):
        placed.runs = runs.get(placed.node.within, 1)
        for body in placed.node.bodies:
            runs[body.name] = placed.runs * trips.get(placed.node.outputs[0], 1)


def _block_coincidences(analysis: Analysis, twin: Analysis) -> None:
    """Block axes whose couplings hold for one binding of the dynamic sizes only."""
    mine, theirs = _trees(analysis), _trees(twin)
    for (name, axis), tree in mine.items():
        if tree != theirs.get((name, axis)):
            dim = analysis.values[name].dims[axis]
            analysis.space.block(dim, "its couplings depend on the sizes of dynamic inputs", "")


def _trees(analysis: Analysis) -> dict[tuple[str, int], tuple[object, ...]]:
    """For each axis of each weight its free leaves, named by where they first appear."""
    first: dict[Dim, tuple[str, int, int]] = {}
    trees: dict[tuple[str, int], tuple[object, ...]] = {}
    for name in analysis.weights:
        for axis, dim in enumerate(analysis.values[name].dims):
            leaves = [leaf for leaf in dim.leaves() if leaf.is_free]
            for place, leaf in enumerate(leaves):
                first.setdefault(leaf, (name, axis, place))
            trees[name, axis] = tuple((first[leaf], leaf.size) for leaf in leaves)
    return trees


def _add_sources(analysis: Analysis, order: Iterable[Node]) -> None:
    """Add the values that no node makes: inputs of the model and of bodies, and constants."""
    canonical = analysis.canonical
    facts = canonical.facts
    names = [info.name for info in graph_inputs(canonical.model.proto)]
    names += [name for node in order for body in node.bodies for name in body.inputs]
    for name in names:
        if name in facts.shapes:
            _new_value(analysis, name)
    for name in canonical.model.constants:
        analysis.sources[name] = frozenset((name,))
        _new_value(analysis, name)


def _new_value(analysis: Analysis, name: str) -> Value:
    facts = analysis.canonical.facts
    shape = facts.shapes[name]
    dims = tuple(analysis.space.dim(size, (name, axis)) for axis, size in enumerate(shape))
    axes = analysis.canonical.listed.get(name, {})
    listed = {i: analysis.values[x].dims[axis] for i, (x, axis) in axes.items()}
    data = static_data(analysis.canonical, name)
    value = Value(name, shape, dims, name in analysis.sources, data, listed)
    analysis.values[name] = value
    return value


def static_data(canonical: Canonical, name: str) -> npt.NDArray[Any] | None:
    """Elements that hold at any input size; -1 for those of a target shape that do not.

    Of vectors of floats a few are read, which may be factors of a Resize.
    """
    if name in canonical.partial:
        return canonical.model.constants[canonical.partial[name]].numpy()
    tensor = canonical.model.constants.get(name)
    if tensor is None or name in canonical.facts.values:
        return None if tensor is None else canonical.facts.values[name]
    few = len(tensor.shape) == 1 and tensor.size <= FACTORS_READ
    return tensor.numpy() if few and tensor.dtype.kind == "f" else None


def _place(analysis: Analysis, node: Node, versions: dict[str, int]) -> None:
    facts = analysis.canonical.facts
    given = [name for name in node.inputs if name]
    if all(name in analysis.sources for name in given) and not node.captures:
        merged = frozenset[str]().union(*(analysis.sources[name] for name in given))
        for name in node.outputs:
            analysis.sources[name] = merged
    site = Site(
        node.name,
        node.op_type,
        versions.get(node.domain, 1),
        node.attributes,
        tuple(analysis.values.get(name) for name in node.inputs),
        tuple(
            _new_value(analysis, name) if name in facts.shapes else None for name in node.outputs
        ),
        analysis.space,
        tuple(
            Interface(
                tuple(analysis.values.get(name) for name in body.inputs),
                tuple(analysis.values.get(name) for name in body.outputs),
            )
            for body in node.bodies
        ),
    )
    operator = lookup(node.domain, node.op_type, site.version)
    _relate(analysis, node, site, operator)
    placed = Placed(node, site, operator)
    analysis.placed.append(placed)
    _note_encoded(analysis, placed)


def _note_encoded(analysis: Analysis, placed: Placed) -> None:
    node, constants = placed.node, analysis.canonical.model.constants
    for encoding in placed.operator.encodings if placed.operator is not None else ():
        analysis.steps.update(node.inputs[i] for i in encoding.parameters if i < len(node.inputs))
        weight = node.inputs[encoding.operand]
        if weight in constants:
            analysis.encoded.setdefault(weight, (placed, encoding))
            if node.outputs[0] in analysis.sources:
                analysis.decoded[node.outputs[0]] = weight


def _relate(analysis: Analysis, node: Node, site: Site, operator: Operator | None) -> None:
    shaped = all(not name or name in analysis.values for name in (*node.inputs, *node.outputs))
    if operator is None:
        title = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        analysis.unknown.setdefault(title, []).append(node.name)
        site.block_all(f"{title}: operator without a signature")
    elif operator.opaque:
        operator.relate(site)
    elif not shaped and not node.bodies:
        site.block_all(f"{node.op_type}: an operand of unknown shape")
    else:
        try:
            operator.relate(site)
        except ModelError:
            if not node.within:
                raise
            site.block_all(f"{node.op_type}: in a branch for inputs of other sizes")
        site.block_omitted()
    if operator is None or operator.opaque:
        for name in node.captures:
            for dim in analysis.values[name].dims if name in analysis.values else ():
                site.block(dim, f"used inside the body of {node.op_type}")


def ignored(order: Iterable[Node], patterns: list[str]) -> set[tuple[str, ...]]:
    """The nodes to be left alone, by their first result; with a node goes all that is inside it."""
    bodies: set[str] = set()
    found: set[tuple[str, ...]] = set()
    for node in reversed([*order]):
        whole = node.within in bodies or matches(node.names, patterns)
        if whole:
            found.add(node.outputs[:1])
        bodies |= {body.name for body in node.bodies if whole or matches([body.name], patterns)}
    return found


def _port_shapes(canonical: Canonical) -> dict[str, tuple[int, ...]]:
    """Shapes of what the user feeds and gets."""
    proto, shapes = canonical.model.proto, canonical.facts.shapes
    infos = [*graph_inputs(proto), *proto.graph.output]
    return {info.name: shapes[info.name] for info in infos if info.name in shapes}


def _block_sizes_read(analysis: Analysis) -> None:
    read = analysis.canonical.read
    for placed in analysis.placed:
        axes = read.get(placed.node.outputs[0], ()) if placed.node.outputs else ()
        if axes and placed.site.inputs[0] is not None:
            for axis in axes:
                placed.site.block(placed.site.x().dims[axis], "its size is read as a number")


def _block_borders(analysis: Analysis) -> None:
    proto = analysis.canonical.model.proto
    constants = analysis.canonical.model.constants
    borders = [(info.name, "graph input") for info in proto.graph.input]
    borders += [(info.name, "graph output") for info in proto.graph.output]
    for name, reason in borders:
        if name in constants and reason == "graph input":
            continue
        for axis, dim in enumerate(analysis.values[name].dims if name in analysis.values else ()):
            if dim.size > 1 and (name, axis) not in analysis.opened:
                analysis.space.block(dim, f"{reason} {name}, axis {axis}", "")
