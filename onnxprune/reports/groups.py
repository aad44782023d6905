"""The coupling groups of a model for the record: what stays of each, who carries it, what follows.

Groups are nodes of a graph: a layer that sums over group a and makes group b is an edge from a to
b. What blocks a weight stands among them, as a group of which everything stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnxprune.axes import Dim
from onnxprune.cost.macs import NOTHING
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group, carried
from onnxprune.passes.work import Removal

BLOCKED = "blocked"
"""The kind of what cannot be pruned."""

Entry = dict[str, Any]


@dataclass(slots=True)
class _Carriers:
    """What carries a leaf: operators, their multiply-accumulates, and the leaves that follow it."""

    nodes: dict[str, None] = field(default_factory=dict[str, None])
    macs: int = 0
    following: set[int] = field(default_factory=set[int])


def describe_groups(removals: Sequence[Removal]) -> list[Entry]:
    """The coupling groups of the original in graph order, and behind them what blocks weights.

    Args:
        removals: every removal, in order; one at least.
    """
    analysis, groups = removals[0].analysis, removals[0].groups
    entries = [_of_group(analysis, group) for group in groups]
    leaves = {group.leaf: group.index for group in groups}
    for entry, group, kept in zip(entries, groups, _kept(removals), strict=True):
        entry["kept"] = kept
        entry["over"] = None if group.over is None else leaves.get(group.over)
    for leaf, axes in _blocked(analysis).items():
        leaves[leaf] = len(entries)
        entries.append(_of_blocked(analysis, leaf, axes, len(entries)))
    sample = Sample.of(analysis)
    for entry, carriers in zip(entries, _carriers(analysis, leaves), strict=True):
        entry["macs"] = sample.share(carriers.macs)
        entry["nodes"] = list(carriers.nodes)
        entry["next"] = sorted(carriers.following - {entry["id"]})
    return entries


def _of_group(analysis: Analysis, group: Group) -> Entry:
    axes = [(member.weight, member.axis) for member in group.members]
    return {
        "id": group.index,
        "name": group.name,
        "kind": group.kind,
        "size": group.size,
        "kept": group.size,
        "over": None,
        "parameters": group.parameters,
        "macs": 0,
        "members": _members(analysis, axes),
        "blocked": None,
    }


def _of_blocked(
    analysis: Analysis, leaf: Dim, axes: Sequence[tuple[str, int]], index: int
) -> Entry:
    members = _members(analysis, axes)
    block = leaf.block
    cause = None if block is None else analysis.space.cause(block)
    at = f" (at {cause.where})" if cause is not None and cause.where else ""
    return {
        "id": index,
        "name": f"{members[0]['weight']} axis {members[0]['axis']}",
        "kind": BLOCKED,
        "size": leaf.size,
        "kept": leaf.size,
        "over": None,
        "parameters": sum(map(analysis.parameters, {weight for weight, _ in axes})),
        "macs": 0,
        "members": members,
        "blocked": f"{cause.reason}{at}" if cause is not None else "",
    }


def _members(analysis: Analysis, axes: Iterable[tuple[str, int]]) -> list[Entry]:
    original = analysis.canonical.provenance
    return [{"weight": original.get(weight, weight), "axis": axis} for weight, axis in axes]


def _blocked(analysis: Analysis) -> Mapping[Dim, Sequence[tuple[str, int]]]:
    """The axes of weights that a blocked leaf runs along; not what is none of a weight's widths."""
    found: dict[Dim, list[tuple[str, int]]] = {}
    for weight in analysis.weights:
        for axis, dim in enumerate(analysis.values[weight].dims):
            for leaf in dim.leaves():
                if leaf.size < 2 or leaf.block is None:
                    continue
                if not analysis.space.cause(leaf.block).inherent:
                    found.setdefault(leaf, []).append((weight, axis))
    return found


def _kept(removals: Sequence[Removal]) -> list[int]:
    """What stays of each group of the first removal after all of them.

    Later removals have groups of their own; one is the same that has the same members.
    """
    keys = list(_keys(removals[0].groups))
    kept = {key: group.size for key, group in zip(keys, removals[0].groups, strict=True)}
    for removal in removals:
        if removal.permuted:
            continue
        for key, group in zip(_keys(removal.groups), removal.groups, strict=True):
            mask = removal.keeps.get(group.leaf)
            if key in kept:
                kept[key] = group.size if mask is None else mask.count
    return [kept[key] for key in keys]


def _keys(groups: Iterable[Group]) -> Iterable[tuple[object, ...]]:
    """What tells groups apart across removals: their members, and their order among equals."""
    seen: dict[tuple[object, ...], int] = {}
    for group in groups:
        members = tuple((member.weight, member.axis) for member in group.members)
        seen[members] = seen.get(members, 0) + 1
        yield (*members, seen[members])


def _carriers(analysis: Analysis, leaves: Mapping[Dim, int]) -> list[_Carriers]:
    """What carries each leaf, by its number."""
    found = [_Carriers() for _ in leaves]
    for placed in analysis.placed:
        counted = set(carried(placed.site.letters.values(), leaves))
        macs = placed.macs(NOTHING)
        for number in counted:
            found[number].macs += macs
        values = [*placed.site.inputs, *placed.site.outputs]
        dims = (dim for value in values if value is not None for dim in value.dims)
        for number in counted.union(carried(dims, leaves)):
            found[number].nodes[placed.node.name] = None
        summed, made = (
            carried((role.dim for role in placed.site.roles if role.name in names), leaves)
            for names in (("contracted",), ("outer", "batch"))
        )
        for number in summed:
            found[number].following.update(made)
    return found
