"""Ragged selection: groups that may keep different indices for each index of a partner.

Input channels of a grouped convolution differ from group to group, units of a recurrent layer from
direction to direction, dimensions of a head from head to head: nothing mixes them, as long as every
tensor that carries the one carries the other, and every operator meets the partner once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from onnxprune.axes import Dim
from onnxprune.coupling.placed import Placed
from onnxprune.ops.site import Value


class Partners:
    """Finds the partners of a model's groups."""

    def __init__(
        self, values: Mapping[str, Value], placed: Sequence[Placed], leaves: Iterable[Dim]
    ) -> None:
        """Prepare for `leaves`, of which any may be asked for.

        Args:
            values: every value of the model, by name.
            placed: its nodes.
            leaves: atomic roots.
        """
        self._values = values
        self._nodes = placed
        self._leaves = set(leaves)
        self._carrying: dict[Dim, list[Value]] | None = None
        self._placed: dict[Dim, list[Placed]] = {}

    def of(self, leaf: Dim, weights: Iterable[str]) -> Dim | None:
        """The leaf that the selection of `leaf` may depend on; the largest, if there are more.

        Of equals it is the first on the axes of the first weight: every analysis finds the same.

        Args:
            leaf: the leaf of a group.
            weights: the constants that carry it.
        """
        dims = [self._values[name].dims for name in weights]
        common = set[Dim].intersection(*(_candidates(axes, leaf) for axes in dims))
        ordered = (other for dim in dims[0] for other in dim.leaves() if other in common)
        fitting = [partner for partner in ordered if self.may_differ(leaf, partner)]
        return max(fitting, key=lambda partner: partner.size, default=None)

    def may_differ(self, leaf: Dim, partner: Dim) -> bool:
        """Whether all that carries `leaf` can keep other indices for each index of `partner`."""
        if self._carrying is None:
            self._carrying = self._carriers()
        carrying = self._carrying[leaf]
        return all(_is_told_apart(value.dims, leaf, partner) for value in carrying) and (
            all(
                sum(partner in dim.leaves() for dim in placed.site.letters.values()) <= 1
                for placed in self._placed[leaf]
            )
        )

    def _carriers(self) -> dict[Dim, list[Value]]:
        """The values that carry each leaf; notes the operators that make or read them, too."""
        values: dict[Dim, list[Value]] = {leaf: [] for leaf in self._leaves}
        self._placed = {leaf: [] for leaf in self._leaves}
        carried: dict[str, set[Dim]] = {}
        for value in self._values.values():
            found = {leaf for dim in value.dims for leaf in dim.leaves()} & self._leaves
            carried[value.name] = found
            for leaf in found:
                values[leaf].append(value)
        for placed in self._nodes:
            names = {*placed.node.inputs, *placed.node.outputs}
            for leaf in set[Dim]().union(*(carried.get(name, ()) for name in names)):
                self._placed[leaf].append(placed)
        return values


def block_axis(dims: Sequence[Dim], axis: int, leaf: Dim, partner: Dim) -> int | None:
    """The other axis that has the partner's indices; None where `axis` has them itself.

    Args:
        dims: axes of a tensor.
        axis: one that carries `leaf`.
        leaf: a leaf whose selection depends on `partner`.
        partner: another leaf.
    """
    if _stands_outside(dims[axis].root, partner, leaf):
        return None
    leading = (place for place, dim in enumerate(dims) if dim.root.walk_factors()[0] is partner)
    return next(leading, None)


def family_axis(dims: Sequence[Dim], axis: int) -> int | None:
    """The other axis of which each block has a tree of its own on `axis`; None where one holds."""
    family = dims[axis].family
    if family is None:
        return None
    leading = [place for place, dim in enumerate(dims) if dim.root.walk_factors()[0] is family.over]
    return next((place for place in leading if place != axis), None)


def _candidates(dims: Sequence[Dim], leaf: Dim) -> set[Dim]:
    """Leaves that tell the indices of `leaf` apart on every axis of a tensor that carries it."""
    found: set[Dim] = set()
    for axis, dim in enumerate(dims):
        if leaf in dim.leaves():
            factors = dim.root.walk_factors()
            outer = factors[: factors.index(leaf)] if leaf in factors else []
            leads = [d.root.walk_factors()[0] for place, d in enumerate(dims) if place != axis]
            found.update(f for f in (*outer, *leads) if f.is_atomic and f.size > 1)
    return {f for f in found if f is not leaf and _is_told_apart(dims, leaf, f)}


def _is_told_apart(dims: Sequence[Dim], leaf: Dim, partner: Dim) -> bool:
    """Whether on each axis that carries `leaf` one index of `partner` belongs to each index."""
    leading = [axis for axis, dim in enumerate(dims) if dim.root.walk_factors()[0] is partner]
    for axis, dim in enumerate(dims):
        if leaf in dim.leaves() and dim.family is not None:
            return False  # it is told apart already
        if leaf not in dim.leaves() or _stands_outside(dim.root, partner, leaf):
            continue
        if len(leading) != 1 or leading[0] == axis:
            return False
    return True


def _stands_outside(root: Dim, outer: Dim, inner: Dim) -> bool:
    if root.segments:
        parts = [segment for segment in root.walk_segments() if inner in segment.leaves()]
        return all(_stands_outside(part.root, outer, inner) for part in parts)
    factors = root.walk_factors()
    return factors.count(outer) == factors.count(inner) == 1 and factors.index(
        outer
    ) < factors.index(inner)
