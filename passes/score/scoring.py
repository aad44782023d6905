"""What a criterion works on: the groups of a model, and the weights behind each channel.

A criterion is a function from a `Scoring` to scores by group. Most measure one weight at a time and
leave it to `Scoring.measured` to find the weights, to lay them out channel by channel and to put
the measures of a group's weights together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, places_of
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group, Member
from onnxprune.coupling.ragged import block_axis, family_axis
from onnxprune.data.batches import Batch
from onnxprune.passes.score.combining import NORMALIZATIONS, REDUCTIONS, by_mean
from onnxprune.passes.score.gains import Gains, find_gains
from onnxprune.passes.stand_in import given_or_random

Scores = npt.NDArray[np.float64]
"""Importance of each index of a group: ``[v]``, or ``[g, v]`` where the selection may be ragged."""
Table = npt.NDArray[np.float32]
"""A weight channel by channel: ``[v, k]`` or ``[g, v, k]``, row j all elements of channel j."""
Measure = Callable[[Table], Scores]
"""One number for each row."""


@dataclass(frozen=True, slots=True, eq=False)
class Scoring:
    """The groups to score.

    Attributes:
        analysis: the model.
        groups: the groups.
        reduction: how the measures of a group's weights become one; see `REDUCTIONS`.
        normalization: what makes groups comparable; see `NORMALIZATIONS`.
        seed: for criteria that draw random numbers.
        data: calibration data; random inputs take its place where there is none.
    """

    analysis: Analysis
    groups: Sequence[Group]
    reduction: str = "mean"
    normalization: str = "mean"
    seed: int = 0
    data: Iterable[Batch] | None = None

    def only(self, groups: Iterable[Group]) -> Scoring:
        """The same for some of the groups."""
        return replace(self, groups=list(groups))

    def batches(self) -> Iterable[Batch]:
        """The calibration data, or random inputs of the right ranges."""
        return given_or_random(self.data, self.analysis, self.seed)

    def table(self, group: Group, member: Member) -> Table:
        """A weight channel by channel, as it is."""
        array = _wide(self.analysis.numbers(member.weight))
        dims = self.analysis.values[member.weight].dims
        return channel_table(array, dims, member.axis, group.leaf, group.over)

    def measured(
        self, measure: Measure, members: Callable[[Group], Sequence[Member]] | None = None
    ) -> dict[Group, Scores]:
        """Measure weights row by row; every weight is read once.

        Unless nothing is normalised, each weight's measures are divided by their mean first, so
        that a normalisation's scale counts as much as a kernel of thousands of elements.

        Args:
            measure: one number for each channel of one weight.
            members: the weights of a group; those that produce it unless said otherwise.
        """
        gains = find_gains(self.analysis)
        by_weight: dict[str, list[tuple[Group, Member]]] = {}
        for group in self.groups:
            for member in members(group) if members else producers(group, gains):
                by_weight.setdefault(member.weight, []).append((group, member))
        found: dict[Group, list[Scores]] = {group: [] for group in self.groups}
        for name, parts in by_weight.items():
            array = _wide(self.analysis.numbers(name))
            for group, member in parts:
                scores = measure(self._gained(array, group, member, gains)).astype(np.float64)
                found[group].append(scores if self.normalization == "none" else by_mean(scores))
        return self.combined(found)

    def combined(self, found: Mapping[Group, Sequence[Scores]]) -> dict[Group, Scores]:
        """Reduce the measures of each group to one, and normalise that."""
        reduce, normalize = REDUCTIONS[self.reduction], NORMALIZATIONS[self.normalization]
        return {group: normalize(reduce(np.stack(parts))) for group, parts in found.items()}

    def _gained(self, array: Table, group: Group, member: Member, gains: Gains) -> Table:
        dims = self.analysis.values[member.weight].dims
        factor = gains.factors.get((member.weight, dims[member.axis].root))
        if factor is not None:
            shape = [-1 if axis == member.axis else 1 for axis in range(array.ndim)]
            array = array * factor.astype(np.float32).reshape(shape)
        return channel_table(array, dims, member.axis, group.leaf, group.over)


def producers(group: Group, gains: Gains) -> list[Member]:
    """The weights that make a group; all, if none does."""
    made = [m for m in group.members if m.producer and m.weight not in gains.folded]
    return made or group.members


def channel_table(
    array: Table, dims: Sequence[Dim], axis: int, leaf: Dim, over: Dim | None = None
) -> Table:
    """A weight channel by channel.

    Args:
        array: the weight.
        dims: its axes.
        axis: the one that carries the leaf.
        leaf: the leaf of a group.
        over: the leaf that its selection may depend on.
    """
    if (by := family_axis(dims, axis)) is not None:
        parts = np.split(array, dims[by].root.walk_factors()[0].size, axis=by)
        trees = ((*dims[:axis], dims[axis].at(i), *dims[axis + 1 :]) for i in range(len(parts)))
        tables = [channel_table(x, tree, axis, leaf) for x, tree in zip(parts, trees, strict=True)]
        return _wide(np.concatenate(tables, axis=-1))
    by = None if over is None else block_axis(dims, axis, leaf, over)
    if over is None or by is None:
        places = places_of(dims[axis], leaf, over)
        rows = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)[places]
        return rows.reshape(*places.shape[:-1], -1)
    blocks, places = places_of(dims[by], over), places_of(dims[axis], leaf)
    pairs = np.moveaxis(array, (by, axis), (0, 1))[blocks][:, :, places]
    return pairs.swapaxes(1, 2).reshape(len(blocks), len(places), -1)


def _wide(array: npt.NDArray[Any]) -> Table:
    return array.astype(np.float32, copy=False)
