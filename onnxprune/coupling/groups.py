"""Coupling groups: what can be removed, of which kind, and what excludes what.

Every free leaf that some weight carries is a coupling group. Its *kind* follows from the roles
that operators gave it; where one axis is a product of several groups, they exclude each other,
because a ratio is meant for the axis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from onnxprune.axes import Block, Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.naming import Names, computes
from onnxprune.coupling.placed import Placed
from onnxprune.coupling.ragged import Partners

T = TypeVar("T")

KINDS = (
    "channel",
    "residual",
    "intermediate",
    "head",
    "kv_group",
    "head_dim",
    "group",
    "expert",
    "vocabulary",
)
"""Every kind that a group can have."""
DEFAULT_KINDS = ("channel", "residual", "intermediate", "head", "kv_group", "group")
"""What is pruned unless asked otherwise."""
_COARSE = 0.1
"""A group whose indices miss the ratio by more than this share is too coarse for it."""
_RANKS = {
    kind: rank
    for rank, kinds in enumerate(
        (
            ("head", "kv_group"),
            ("channel",),
            ("intermediate",),
            ("residual",),
            ("head_dim",),
            ("group", "expert"),
            ("vocabulary",),
        )
    )
    for kind in kinds
}
"""Of the factors of one axis, which is pruned: lower ranks first, the larger one of equals."""
_TOLD = ("vocabulary", "expert", "head", "head_dim")
"""Kinds that operators tell as roles; of several, the first."""


@dataclass(frozen=True, slots=True)
class Member:
    """One axis of a weight that carries a group.

    Attributes:
        weight: name of the constant.
        axis: axis of the constant.
        producer: whether the weight makes the group (an operator carries the axis into its
            result) or scales it in a normalisation; other weights only read it or are added.
    """

    weight: str
    axis: int
    producer: bool


@dataclass(slots=True, eq=False)
class Group:
    """A coupling group.

    Attributes:
        index: position among the model's groups, in graph order.
        leaf: its dim.
        kind: one of `KINDS`.
        members: the weight axes that carry it.
        parameters: elements of the weights that carry it.
        rivals: groups that share a product with it on some axis.
        over: the leaf that its selection may depend on (ragged selection), if any.
        label: what it is called after; see `onnxprune.coupling.naming`.
    """

    index: int
    leaf: Dim
    kind: str
    members: list[Member]
    parameters: int
    rivals: list[Group] = field(default_factory=lambda: [])
    over: Dim | None = None
    label: str = ""

    def __repr__(self) -> str:
        """Its name and size; all members would fill a page."""
        return f"<{self.name}, {self.size}>"

    @property
    def size(self) -> int:
        """Number of indices."""
        return self.leaf.size

    @property
    def name(self) -> str:
        """How reports call the group: its kind, and what it is called after."""
        return f"{self.kind} of {self.label}"

    @property
    def names(self) -> tuple[str, ...]:
        """What patterns are tried on: its name, also with the weight that makes it, its kind."""
        return self.name, f"{self.kind} of {_maker(self.members)}", self.kind

    def first(self, count: int) -> Keep:
        """A mask that keeps the first `count` indices: sizes depend on the number alone."""
        mask = np.arange(self.size) < count
        return Keep(mask if self.over is None else np.tile(mask, (self.over.size, 1)), self.over)


def find_groups(analysis: Analysis) -> list[Group]:
    """Every coupling group of a model, in graph order.

    A leaf that only constants carry is no group: nothing flows along it, unless it does inside of
    an operator. Nor is one of which the file has no weight, only what is computed from sizes, as
    channels of zeros are.
    """
    produced = _produced(analysis)
    carrying = [value.dims for value in analysis.values.values() if not value.constant]
    carrying += [tuple(p.site.letters.values()) for p in analysis.placed if computes(p, analysis)]
    active = {leaf for dims in carrying for dim in dims for leaf in dim.leaves()}
    members: dict[Dim, list[Member]] = {}
    for name in analysis.weights:
        for axis, dim in enumerate(analysis.values[name].dims):
            for leaf in dim.leaves():
                if leaf.is_free and leaf in active:
                    member = Member(name, axis, (name, leaf) in produced)
                    members.setdefault(leaf, []).append(member)
    given = analysis.canonical.provenance
    members = {leaf: axes for leaf, axes in members.items() if any(m.weight in given for m in axes)}
    kinds = _kinds(analysis, members)
    names = Names(analysis)
    groups = [
        Group(
            index,
            leaf,
            kinds[leaf],
            axes,
            sum(map(analysis.parameters, {m.weight for m in axes})),
            label=names.of(_maker(axes)),
        )
        for index, (leaf, axes) in enumerate(members.items())
    ]
    _relate(analysis, groups)
    return groups


def _maker(members: Sequence[Member]) -> str:
    """The first weight that makes the group; of none that does, the first that reads it."""
    return next((member for member in members if member.producer), members[0]).weight


def carried(dims: Iterable[Dim], by_leaf: Mapping[Dim, T]) -> list[T]:
    """The groups that run along any of these dims, each once, in the order in which they are met.

    Args:
        dims: of operands, or of the letters of an operator.
        by_leaf: the groups to look for, or what stands for them, by their leaves.
    """
    leaves = (leaf for dim in dims for leaf in dim.leaves())
    return list(dict.fromkeys(by_leaf[leaf] for leaf in leaves if leaf in by_leaf))


def choose(
    groups: Iterable[Group], kinds: Iterable[str], ratio: float | None = None
) -> list[Group]:
    """The groups to select from: of the given kinds, and one for each product.

    Args:
        groups: all groups.
        kinds: the kinds to take.
        ratio: the fraction to remove, if it is known: of equals, a group that has about that
            fraction of whole indices goes first.
    """
    allowed = set(kinds)
    candidates = sorted(
        (group for group in groups if group.kind in allowed and group.size > 1),
        key=lambda g: (_RANKS[g.kind], _is_too_coarse(g, ratio), -g.size, g.index),
    )
    chosen: set[int] = set()
    for group in candidates:
        if not any(rival.index in chosen for rival in group.rivals):
            chosen.add(group.index)
    return [group for group in groups if group.index in chosen]


def _is_too_coarse(group: Group, ratio: float | None) -> bool:
    """Whether no number of whole indices comes near the ratio."""
    if ratio is None:
        return False
    nearest = min(round(ratio * group.size), group.size - 1) / group.size
    return abs(nearest - ratio) > _COARSE


def _produced(analysis: Analysis) -> set[tuple[str, Dim]]:
    """(weight, leaf) pairs where the weight gives the leaf's channels their values."""
    pairs: set[tuple[str, Dim]] = set()
    for placed in analysis.placed:
        for role in placed.site.roles:
            if role.name not in ("outer", "batch", "scale") or role.operand < 0:
                continue
            operand = placed.node.inputs[role.operand]
            for source in analysis.sources.get(operand, frozenset()) - analysis.steps:
                pairs.update((source, leaf) for leaf in role.dim.leaves())
    return pairs


def _kinds(analysis: Analysis, leaves: Iterable[Dim]) -> dict[Dim, str]:
    roles: dict[Dim, set[str]] = defaultdict(set)
    producers: dict[Dim, set[str]] = defaultdict(set)
    ports = {leaf for value in analysis.ports for dim in value.dims for leaf in dim.leaves()}
    samples = {leaf for leaf in ports if leaf.block is not None}
    for placed in analysis.placed:
        for name, dim in _used_as(placed, analysis, samples):
            for leaf in dim.leaves():
                roles[leaf].add(name)
        for role in placed.site.roles:
            for leaf in role.dim.leaves() if role.name == "outer" else ():
                producers[leaf].add(placed.node.name)
    for leaf, used in roles.items():
        if len(producers[leaf]) < 2:
            used.discard("residual")
    order = (*_TOLD, "group", "residual", "channel")
    return {leaf: next((k for k in order if k in roles[leaf]), "intermediate") for leaf in leaves}


def _used_as(
    placed: Placed, analysis: Analysis, samples: Collection[Dim]
) -> Iterable[tuple[str, Dim]]:
    """What a node's roles say about kinds.

    A product of two activations is attention: what indexes both and the result is a head, what
    it sums over or carries through on one side is a head_dim. Where only samples or places index
    both, there are no heads, and a channel is a channel.
    """
    convolution = placed.operator is not None and placed.operator.is_convolution
    products = not convolution and not any(x in analysis.sources for x in placed.node.inputs[:2])
    attention = products and any(
        role.name == "batch" and any(_may_be_head(leaf, samples) for leaf in role.dim.leaves())
        for role in placed.site.roles
    )
    inner = placed.site.letters.get("i")
    for role in placed.site.roles:
        if role.name in _TOLD:
            yield role.name, role.dim
        elif role.name == "sum":
            yield "residual", role.dim
        elif role.name == "batch" and convolution and inner is not None and inner.size > 1:
            yield "group", role.dim
        elif role.name == "batch" and attention:
            yield "head", role.dim
        elif role.name in ("contracted", "outer") and attention:
            yield "head_dim", role.dim
        elif convolution and role.name in ("contracted", "outer", "batch"):
            yield "channel", role.dim


def _may_be_head(leaf: Dim, samples: Collection[Dim]) -> bool:
    """Whether an index tells heads apart, and not samples or places."""
    place = leaf.block is not None and leaf.block.inherent
    return leaf.size > 1 and leaf not in samples and not place


def _relate(analysis: Analysis, groups: list[Group]) -> None:
    """Find rivals on the axes of all values, and ragged partners."""
    by_leaf = {group.leaf: group for group in groups}
    rivals: dict[Group, dict[int, Group]] = {group: {} for group in groups}
    seen: set[Dim] = set()
    for value in analysis.values.values():
        for dim in value.dims:
            for product in _products(dim.root, seen):
                _relate_factors(product.walk_factors(), by_leaf, rivals)
    for group in groups:
        group.rivals = [rivals[group][index] for index in sorted(rivals[group])]
    for group in [group for group in groups if _is_shared(group)]:
        group.kind = "kv_group"
    partners = Partners(analysis.values, analysis.placed, by_leaf)
    for group in groups:
        group.over = partners.of(group.leaf, dict.fromkeys(m.weight for m in group.members))
    for group in groups:
        # What others depend on must be the same for all.
        if any(other.over is group.leaf for other in groups):
            group.over = None


def _is_shared(group: Group) -> bool:
    """Whether several heads share each index of the group, as queries share keys and values.

    The heads then are a product of the group and of what tells those apart that share; the weights
    of keys and values carry the group alone.
    """
    heads = [rival for rival in group.rivals if rival.kind == "head"]
    axes = {(member.weight, member.axis) for member in group.members}
    return group.kind == "head" and any(
        not axes <= {(member.weight, member.axis) for member in rival.members} for rival in heads
    )


def _products(root: Dim, seen: set[Dim]) -> Iterable[Dim]:
    """Every product in the tree, the leaf itself where there is none; each once."""
    if root in seen:
        return
    seen.add(root)
    if root.segments:
        for segment in root.walk_segments():
            yield from _products(segment, seen)
        return
    yield root
    for factor in root.walk_factors() if root.factors else ():
        yield from _products(factor, seen) if factor.segments else ()


def _relate_factors(
    factors: list[Dim], by_leaf: dict[Dim, Group], rivals: dict[Group, dict[int, Group]]
) -> None:
    inside = [[by_leaf[leaf] for leaf in factor.leaves() if leaf in by_leaf] for factor in factors]
    for place, mine in enumerate(inside):
        for group in mine:
            for other, theirs in enumerate(inside):
                if other != place:
                    rivals[group].update((rival.index, rival) for rival in theirs)


def block_reasons(analysis: Analysis, name: str) -> list[tuple[int, Block]]:
    """Why a weight cannot be pruned: axis and cause of each blocked leaf; what is inherent last."""
    causes = [
        (axis, analysis.space.cause(leaf.block))
        for axis, dim in enumerate(analysis.values[name].dims)
        for leaf in dim.leaves()
        if leaf.block is not None
    ]
    return sorted(causes, key=lambda cause: (cause[1].inherent, *cause))
