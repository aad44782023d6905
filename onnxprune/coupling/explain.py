"""Why an axis can be pruned, together with what; or why it never can.

`explain` answers for a node, a value or a constant: for each of its axes the tree, and for each
leaf of the tree the coupling group with all that is tied to it, or the cause that blocks it with
the shortest chain of couplings that leads there. `render` says it in lines for a terminal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from onnxprune.axes import Block, Dim, Tracer
from onnxprune.axes.trace import Step
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import DEFAULT_KINDS, Group, Member, choose
from onnxprune.coupling.isomorphism import isomorphism_classes
from onnxprune.errors import UsageError

_SHOWN = 8
"""So many members or operators are listed in text; the rest is counted."""


class Fate(StrEnum):
    """What may become of the indices of a leaf."""

    FREE = "free"
    BLOCKED = "blocked"
    SINGLE = "single"
    """One index, which never goes alone."""
    UNWEIGHTED = "unweighted"
    """Nothing forbids its removal, but no weight would shrink."""


@dataclass(frozen=True, slots=True)
class Place:
    """An axis of a value."""

    value: str
    axis: int

    def __str__(self) -> str:
        """Name it as reports do."""
        return f"{self.value} axis {self.axis}"


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain of couplings.

    Attributes:
        node: the node that couples.
        op_type: its operator; "" if it has none.
        place: the axis that it leads to; None for an axis within the node.
        letter: the letter of the node's signature, where `place` is None.
    """

    node: str
    op_type: str
    place: Place | None
    letter: str = ""


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A coupling group, as an explanation shows it.

    Attributes:
        index: its position among the model's groups.
        name: what reports call it.
        kind: its kind.
        size: number of indices.
        parameters: elements of the weights that carry it.
        members: the weight axes that shrink with it.
        rivals: names of the groups that share a product with it.
        offered: whether it is pruned unless asked otherwise.
        ragged: whether each index of another leaf may keep its own selection.
        isomorphic: names of the other groups with the same structure.
    """

    index: int
    name: str
    kind: str
    size: int
    parameters: int
    members: tuple[Member, ...]
    rivals: tuple[str, ...]
    offered: bool
    ragged: bool
    isomorphic: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeafExplanation:
    """One leaf of the tree of an axis.

    Attributes:
        size: number of indices.
        fate: what may become of them.
        group: the coupling group of a free leaf.
        ties: the nodes that couple the axis with the group's members, nearest first.
        reason: why it is blocked.
        where: the node that blocks it; "" for the borders of the graph.
        chain: the fewest couplings from the axis to where it is blocked.
    """

    size: int
    fate: Fate
    group: GroupSummary | None = None
    ties: tuple[Link, ...] = ()
    reason: str = ""
    where: str = ""
    chain: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class AxisExplanation:
    """One axis: where it is, its size, its tree in words (``(32 4!)``), and the leaves."""

    place: Place
    size: int
    tree: str
    leaves: tuple[LeafExplanation, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer for one name.

    Attributes:
        name: what was asked for.
        what: "constant", "value", or the operator of a node.
        axes: every axis of the value; of a node, those of its outputs and weights.
        unshaped: values that nothing tells the shape of.
    """

    name: str
    what: str
    axes: tuple[AxisExplanation, ...]
    unshaped: tuple[str, ...] = ()


def explain(analysis: Analysis, groups: Sequence[Group], name: str) -> Explanation:
    """Explain every axis of a node, a value or a constant.

    Args:
        analysis: the model's axes.
        groups: its coupling groups (`find_groups`).
        name: a node's name, a value's, or a constant's as the original model calls it.

    Raises:
        UsageError: nothing has that name.
    """
    what, values = _find(analysis, name)
    known = [value for value in values if value in analysis.values]
    explainer = _Explainer(analysis, groups)
    axes = [
        explainer.axis(Place(value, axis), dim)
        for value in known
        for axis, dim in enumerate(analysis.values[value].dims)
    ]
    unshaped = tuple(value for value in values if value not in analysis.values)
    return Explanation(name, what, tuple(axes), unshaped)


def _find(analysis: Analysis, name: str) -> tuple[str, list[str]]:
    """What `name` is, and the values that stand for it."""
    constants = analysis.canonical.model.constants
    placed = [p for p in analysis.placed if p.node.name == name]
    if placed:
        weights = set(analysis.weights)
        read = [
            source
            for p in placed
            for x in p.node.inputs
            for source in sorted(analysis.sources.get(x, frozenset()) & weights)
        ]
        made = [x for p in placed for x in p.node.outputs if x]
        own = [name] if name in analysis.values else []
        return placed[0].node.op_type, list(dict.fromkeys((*own, *made, *read)))
    views = [view for view, source in analysis.canonical.provenance.items() if source == name]
    if name in constants or views:
        return "constant", list(dict.fromkeys((*([name] if name in constants else []), *views)))
    if name in analysis.values or name in analysis.canonical.blind:
        return "value", [name]
    nodes = (p.node.name for p in analysis.placed)
    everything = dict.fromkeys((*analysis.values, *nodes, *analysis.canonical.provenance.values()))
    close = get_close_matches(name, everything, n=3, cutoff=0.6)
    raise UsageError(
        f"no node or value called {name!r}",
        why="it is not in the model, or constant folding left nothing of it",
        hint=f"did you mean {' or '.join(map(repr, close))}?" if close else "",
    )


class _Explainer:
    """Indices over one analysis, made once for all axes of an explanation."""

    def __init__(self, analysis: Analysis, groups: Sequence[Group]) -> None:
        self._analysis = analysis
        self._tracer = Tracer(analysis.space)
        self._groups = {group.leaf: group for group in groups}
        self._offered = {group.index for group in choose(groups, DEFAULT_KINDS)}
        self._op_types = {p.node.name: p.node.op_type for p in reversed(analysis.placed)}
        self._causes: dict[Dim, dict[Dim, Block]] | None = None
        self._classes: dict[Group, int] | None = None

    def axis(self, place: Place, dim: Dim) -> AxisExplanation:
        leaves = tuple(self._leaf(dim, leaf) for leaf in dim.leaves())
        return AxisExplanation(place, dim.size, repr(dim), leaves)

    def _leaf(self, dim: Dim, leaf: Dim) -> LeafExplanation:
        if leaf.size < 2:
            return LeafExplanation(leaf.size, Fate.SINGLE)
        if leaf.block is not None:
            return self._blocked(dim, leaf, leaf.block)
        group = self._groups.get(leaf)
        if group is None:
            return LeafExplanation(leaf.size, Fate.UNWEIGHTED)
        summary = GroupSummary(
            group.index,
            group.name,
            group.kind,
            group.size,
            group.parameters,
            tuple(group.members),
            tuple(rival.name for rival in group.rivals),
            group.index in self._offered,
            group.over is not None,
            self._isomorphic_to(group),
        )
        return LeafExplanation(leaf.size, Fate.FREE, summary, self._ties(dim, group))

    def _isomorphic_to(self, group: Group) -> tuple[str, ...]:
        if self._classes is None:
            self._classes = isomorphism_classes(self._analysis, list(self._groups.values()))
        mine = self._classes[group]
        return tuple(g.name for g, own in self._classes.items() if own == mine and g is not group)

    def _ties(self, dim: Dim, group: Group) -> tuple[Link, ...]:
        """The nodes on the way from the axis to each member, each once."""
        paths = self._tracer.paths(dim, group.leaf)
        nodes: dict[str, Link] = {}
        ways = (
            self._links(paths.to(self._analysis.values[member.weight].dims[member.axis]))
            for member in group.members
        )
        for way in sorted(ways, key=len):
            for link in way:
                nodes.setdefault(link.node, link)
        return tuple(nodes.values())

    def _blocked(self, dim: Dim, leaf: Dim, first: Block) -> LeafExplanation:
        causes = self._causes_of(leaf)
        if dim in causes:
            block = causes[dim]
            return LeafExplanation(leaf.size, Fate.BLOCKED, reason=block.reason, where=block.where)
        path = self._tracer.nearest(dim, tuple(causes), leaf)
        block = causes[path[-1][0]] if path else first
        return LeafExplanation(
            leaf.size,
            Fate.BLOCKED,
            reason=block.reason,
            where=block.where,
            chain=self._links(path),
        )

    def _causes_of(self, leaf: Dim) -> dict[Dim, Block]:
        """The dims that were blocked and carry `leaf`, each with its first cause."""
        if self._causes is None:
            self._causes = defaultdict(dict)
            space = self._analysis.space
            for dim, block in space.blocks:
                clash = space.clashes.get(block.order)
                ends = (dim,) if clash is None else (dim, clash.edge.left, clash.edge.right)
                for carried in dim.leaves():
                    for end in ends:
                        self._causes[carried].setdefault(end, block)
        return self._causes.get(leaf, {})

    def _links(self, path: Iterable[Step]) -> tuple[Link, ...]:
        """The axes of values on a path, and its end; dims within a node are passed over."""
        links: list[Link] = []
        node = ""
        inside: Link | None = None
        for dim, where in path:
            node = where or node
            match dim.label:
                case (str(value), int(axis)):
                    place = Place(value, axis)
                    if not links or links[-1].place != place:
                        links.append(Link(node, self._op_types.get(node, ""), place))
                    inside = None
                case (str(owner), str(letter)):
                    inside = Link(owner, self._op_types.get(owner, ""), None, letter)
                case _:
                    pass
        return (*links, inside) if inside is not None else tuple(links)


def render(explanation: Explanation) -> list[str]:
    """Lines for a terminal."""
    lines = [f"{explanation.name} ({explanation.what})"]
    lines += [f"  {value}: nothing tells its shape" for value in explanation.unshaped]
    if not explanation.axes and not explanation.unshaped:
        lines.append("  a single number: it has no axes")
    for axis in explanation.axes:
        tree = "" if axis.tree.rstrip("!") == str(axis.size) else f" = {axis.tree}"
        lines.append(f"  {axis.place}: {axis.size}{tree}")
        for leaf, count in _merged(axis.leaves):
            lines += [f"    {line}" for line in _leaf_lines(leaf, count)]
    return lines


def _merged(leaves: Iterable[LeafExplanation]) -> list[tuple[LeafExplanation, int]]:
    """Leaves that have the same to say, once each with their number."""
    counts: dict[LeafExplanation, int] = {}
    for leaf in leaves:
        counts[leaf] = counts.get(leaf, 0) + 1
    return list(counts.items())


def _leaf_lines(leaf: LeafExplanation, count: int) -> list[str]:
    times = f"{count} times " if count > 1 else ""
    if leaf.fate is Fate.SINGLE:
        return [f"{times}a single index: never removed"]
    title = f"{times}{leaf.size} indices"
    if leaf.fate is Fate.UNWEIGHTED:
        return [f"{title}: free, but no weight would shrink"]
    if leaf.group is not None:
        return [f"{title}: free, {_offer(leaf.group)}", *_group_lines(leaf.group, leaf.ties)]
    at = f" at {leaf.where}" if leaf.where else ""
    chain = leaf.chain
    if chain and chain[-1].place is None and chain[-1].node == leaf.where:
        chain = chain[:-1]
    return [f"{title}: blocked{at}: {leaf.reason}", *_chain_lines(chain)]


def _offer(group: GroupSummary) -> str:
    offered = "pruned by default" if group.offered else "not pruned by default"
    return f"{group.name} (group {group.index}, {group.kind}, {offered})"


def _group_lines(group: GroupSummary, ties: Sequence[Link]) -> list[str]:
    axes = [f"{m.weight} axis {m.axis}{' (makes it)' * m.producer}" for m in group.members]
    lines = [f"  {line}" for line in _listed(f"shrinks {len(axes)} weight axes", axes)]
    if group.rivals:
        lines.append(f"  instead of: {', '.join(group.rivals)}")
    if group.ragged:
        lines.append("  each block of another axis may keep its own selection")
    lines += [f"  {line}" for line in _listed("of the same structure", group.isomorphic)]
    nodes = [_node(link) for link in ties if link.node]
    return lines + [f"  {line}" for line in _listed("tied by", nodes)]


def _chain_lines(chain: Sequence[Link]) -> list[str]:
    lines = [f"  through {_node(link)} to {_goal(link)}" for link in chain]
    if len(lines) > _SHOWN + 1:
        half = _SHOWN // 2
        lines[half:-half] = [f"  ... {len(lines) - 2 * half} more couplings ..."]
    return lines


def _node(link: Link) -> str:
    return f"{link.op_type} {link.node}".strip()


def _goal(link: Link) -> str:
    return str(link.place) if link.place is not None else f"its axis {link.letter!r}"


def _listed(title: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    more = [f"  and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return [f"{title}:", *(f"  {item}" for item in items[:_SHOWN]), *more]
