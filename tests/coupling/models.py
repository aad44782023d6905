"""Small models in ONNX text, and their analysis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, find_groups
from onnxprune.ir.canonical import canonicalise
from tests.texts import model_of


@dataclass(frozen=True, slots=True, eq=False)
class Coupled:
    """An analysed model."""

    analysis: Analysis
    groups: list[Group]

    def group(self, weight: str, axis: int) -> Group:
        """The one group on an axis of a weight."""
        (group,) = self.groups_on(weight, axis)
        return group

    def groups_on(self, weight: str, axis: int) -> list[Group]:
        """The groups on an axis of a value, in the order of its tree."""
        by_leaf = {group.leaf: group for group in self.groups}
        leaves = self.analysis.values[weight].dims[axis].leaves()
        return [by_leaf[leaf] for leaf in leaves if leaf in by_leaf]

    def tree(self, value: str, axis: int) -> str:
        return repr(self.analysis.values[value].dims[axis])

    def reasons(self, value: str) -> list[list[str]]:
        """Why the leaves of each axis are blocked."""
        return [
            [leaf.block.reason for leaf in dim.leaves() if leaf.block is not None]
            for dim in self.analysis.values[value].dims
        ]


def couple(
    body: str,
    weights: Mapping[str, tuple[int, ...]],
    x: str = "float[1,3,8,8] x",
    y: str = "float[?,?,?,?] y",
    ignore: Iterable[str] = (),
    imports: str = '"" : 17',
) -> Coupled:
    """Analyse a model of the given nodes, with random weights of these shapes."""
    text = f"<ir_version: 8, opset_import: [{imports}]>\nmodel ({x}) => ({y}) {{\n{body}\n}}"
    analysis = analyse(canonicalise(model_of(text, weights)), ignore)
    return Coupled(analysis, find_groups(analysis))


def members(group: Group) -> set[tuple[str, int]]:
    return {(member.weight, member.axis) for member in group.members}
