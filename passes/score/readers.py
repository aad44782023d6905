"""Who reads a channel: the operators that sum over a group, with what they read and weigh it by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group, Member


@dataclass(frozen=True, slots=True)
class Reader:
    """An operator that sums over a group.

    Attributes:
        activation: what it reads.
        axis: the axis of that which carries the group.
        member: the axis of its weight that does.
    """

    activation: str
    axis: int
    member: Member


def find_readers(analysis: Analysis, groups: Iterable[Group]) -> dict[Group, list[Reader]]:
    """The layers that read each group: products of an activation and a constant weight.

    What stands in bodies of control flow is left out; it may run never, or many times.
    """
    by_leaf = {group.leaf: group for group in groups}
    readers: dict[Group, list[Reader]] = {group: [] for group in by_leaf.values()}
    for placed in analysis.placed:
        inputs = placed.node.inputs
        summed = [
            role
            for role in placed.site.roles
            if role.name == "contracted" and role.operand >= 0 and not placed.node.within
        ]
        for role in summed:
            weight = analysis.weight_of(inputs[role.operand])
            if not weight:
                continue
            for leaf in {*role.dim.leaves()} & by_leaf.keys():
                for axis, dim in enumerate(analysis.values[weight].dims):
                    if leaf not in dim.leaves():
                        continue
                    readers[by_leaf[leaf]] += [
                        Reader(inputs[other.operand], place, Member(weight, axis, False))
                        for other in summed
                        if inputs[other.operand] not in analysis.sources
                        for place, x in enumerate(analysis.values[inputs[other.operand]].dims)
                        if leaf in x.leaves()
                    ]
    return readers
