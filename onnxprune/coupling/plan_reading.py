"""From a plan to keep masks, checked against the couplings of the model that it is applied to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from onnxprune.axes import BoolArray, Dim, Keep, leaf_masks
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.axis_plan import AxisPlan, Blocks
from onnxprune.coupling.groups import Group
from onnxprune.coupling.plan import Plan, axis_plans
from onnxprune.coupling.ragged import block_axis, family_axis
from onnxprune.errors import PlanError
from onnxprune.ops.site import Value


def keeps_from_plan(plan: Plan, analysis: Analysis, groups: list[Group]) -> dict[Dim, Keep]:
    """Read the leaves' keep masks off a plan and check that they reproduce it.

    Args:
        plan: the plan.
        analysis: of the model, in canonical form, that it is applied to.
        groups: its coupling groups.

    Raises:
        PlanError: the plan does not fit the model.
    """
    reading = _Reading({group.leaf: group.over for group in groups if group.over is not None})
    for name, axes in plan.initializers.items():
        value = analysis.values.get(name)
        if value is None or name not in analysis.canonical.model.constants:
            raise PlanError(
                f"the model has no initializer {name!r}",
                hint="a plan fits models of the architecture that it was made for",
            )
        for axis, kept in axes.items():
            reading.read(value, axis, kept)
    gone = {name for name, axes in plan.initializers.items() if _nothing_in(axes)}
    for name in analysis.weights:
        for axis, dim in enumerate(analysis.values[name].dims):
            if name not in gone and axis not in plan.initializers.get(name, ()):
                reading.alive.update(dim.leaves())
    keeps = reading.keeps()
    for name, axes in plan.initializers.items():
        again = axis_plans(analysis.values[name], keeps)
        if again != axes and not (name in gone and _nothing_in(again)):
            raise PlanError(
                f"the plan does not fit the couplings of initializer {name!r}",
                why="what it keeps on one weight contradicts what it keeps on a coupled one",
            )
    blocked = [leaf for leaf in keeps if not leaf.is_free]
    if blocked:
        raise PlanError("the plan removes indices of axes that are blocked in this model")
    return keeps


def _nothing_in(axes: Mapping[int, AxisPlan]) -> bool:
    """Whether nothing stays of a weight; what else its axes would keep does not matter then."""
    return () in axes.values()


@dataclass(slots=True)
class _Reading:
    """What axes tell of the leaves that they carry.

    An axis of which nothing stays, or a part of it, does not say which of its factors went: not
    those that keep something elsewhere.

    Attributes:
        over: leaves whose selection may be ragged, with the leaf it depends on.
        found: what stays of leaves that keep something, but not all.
        alive: leaves of which some axis keeps something.
        empty: leaves of which some axis keeps nothing.
    """

    over: Mapping[Dim, Dim]
    found: dict[Dim, Keep] = field(default_factory=dict[Dim, Keep])
    alive: set[Dim] = field(default_factory=set[Dim])
    empty: set[Dim] = field(default_factory=set[Dim])

    def read(self, value: Value, axis: int, kept: AxisPlan) -> None:
        """Read what a plan keeps of an axis."""
        if not 0 <= axis < len(value.dims):
            raise PlanError(f"initializer {value.name!r} has no axis {axis}")
        dim = value.dims[axis]
        if isinstance(kept, Blocks):
            masks = _read_blocks(value, axis, kept, self.over)
        else:
            masks = leaf_masks(dim, _mask(kept, dim.size, value), self.over)
        self.alive.update(leaf for leaf in dim.leaves() if leaf not in masks)
        for leaf, keep in masks.items():
            if not keep.mask.any():
                self.empty.add(leaf)
                continue
            self.alive.add(leaf)
            if keep.over is not None:
                table = _even(keep.mask, value)
                even = not isinstance(kept, Blocks) and (table == table[0]).all()
                keep = Keep(table[0]) if even else Keep(table, keep.over)
            known = self.found.get(leaf)
            if known is None or (known.over is None and keep.over is not None):
                self.found[leaf] = keep

    def keeps(self) -> dict[Dim, Keep]:
        """What stays of each leaf; those that keep all are absent."""
        gone = {leaf for leaf in self.empty - self.alive if leaf.is_free}
        nothing = {leaf: Keep(np.zeros(leaf.size, dtype=np.bool_)) for leaf in gone}
        return {leaf: keep for leaf, keep in self.found.items() if not keep.keeps_all} | nothing


def _read_blocks(value: Value, axis: int, kept: Blocks, over: Mapping[Dim, Dim]) -> dict[Dim, Keep]:
    dim = value.dims[axis]
    if family_axis(value.dims, axis) == kept.by:
        return _read_family(value, axis, kept)
    rows = [leaf_masks(dim, _mask(row, dim.size, value)) for row in kept.kept]
    found: dict[Dim, Keep] = {}
    for leaf in dict.fromkeys(leaf for row in rows for leaf in row):
        whole = Keep(np.ones(leaf.size, dtype=np.bool_))
        partner = over.get(leaf)
        if (
            partner is None
            or partner.size != len(rows)
            or block_axis(value.dims, axis, leaf, partner) != kept.by
        ):
            raise PlanError(f"axis {axis} of {value.name!r} cannot be selected block by block")
        found[leaf] = Keep(np.stack([row.get(leaf, whole).mask for row in rows]), partner)
    return found


def _read_family(value: Value, axis: int, kept: Blocks) -> dict[Dim, Keep]:
    """What leaves keep that have other places in each block."""
    dim = value.dims[axis]
    if dim.family is None or len(dim.family.members) != len(kept.kept):
        raise PlanError(f"axis {axis} of {value.name!r} has not {len(kept.kept)} blocks")
    masks = [leaf_masks(dim.at(i), _mask(row, dim.size, value)) for i, row in enumerate(kept.kept)]
    return {leaf: keep for found in masks for leaf, keep in found.items()}


def _even(table: BoolArray, value: Value) -> BoolArray:
    """What each block keeps; blocks that are gone as a whole say nothing, and follow the first."""
    alive: BoolArray = np.asarray(table.any(axis=1))
    rows = table[alive]
    if not (rows.sum(axis=1) == rows[:1].sum()).all():
        raise PlanError(
            f"the plan keeps more of one block of {value.name!r} than of another",
            hint="blocks of one axis keep equally many indices",
        )
    return table if alive.all() or not alive.any() else np.where(alive[:, None], table, rows[:1])


def _mask(kept: tuple[int, ...], size: int, value: Value) -> BoolArray:
    if any(not 0 <= index < size for index in kept):
        raise PlanError(f"the plan keeps indices that {value.name!r} does not have")
    mask = np.zeros(size, dtype=np.bool_)
    mask[list(kept)] = True
    return mask
