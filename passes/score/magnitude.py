"""Magnitude: a channel matters as much as the weights that produce it are large.

Source: H. Li, A. Kadav, I. Durdanovic, H. Samet, H. P. Graf, "Pruning Filters for Efficient
ConvNets", ICLR 2017 (l1); the sum over coupled weights follows G. Fang et al., "DepGraph: Towards
Any Structural Pruning", CVPR 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import sum_onto
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group, Member
from onnxprune.coupling.ragged import block_axis
from onnxprune.passes.score.gains import find_gains

CRITERIA = ("l1", "l2")
"""Norms that can be asked for."""

Scores = npt.NDArray[np.float64]


class Magnitude:
    """Scores groups of one model by the norm of their weights; every weight is read once."""

    def __init__(self, analysis: Analysis, criterion: str, groups: list[Group]) -> None:
        """Prepare scores of `groups`.

        Args:
            analysis: the model.
            criterion: ``l1`` (sum of absolute values) or ``l2`` (root of the sum of squares).
            groups: the groups that will be asked for.
        """
        self._analysis = analysis
        self._square = criterion == "l2"
        self._gains = find_gains(analysis)
        self._sums = self._read({self._slice_of(g, m) for g in groups for m in self._producers(g)})

    def score(self, group: Group) -> Scores:
        """Importance of each index of a group.

        Each weight's norms are divided by their mean, so that a normalisation's scale counts as
        much as a kernel of thousands of elements; the score is the mean over the weights.

        Returns:
            Shape ``[v]``, or ``[g, v]`` where the selection may be ragged.
        """
        producers = self._producers(group)
        total = np.zeros(())
        for member in producers:
            norms = self._on_leaf(group, member)
            if self._square:
                norms = np.sqrt(norms)
            mean = norms.mean()
            total = total + (norms / mean if mean > 0 else norms)
        return total / len(producers)

    def _on_leaf(self, group: Group, member: Member) -> Scores:
        """The member's sums for each index of the group."""
        value = self._analysis.values[member.weight]
        dim = value.dims[member.axis]
        sums = self._sums[self._slice_of(group, member)]
        factor = self._gains.factors.get((member.weight, dim.root))
        if factor is not None:
            sums = sums * (np.square(factor) if self._square else np.abs(factor))
        if sums.ndim == 1:
            return sum_onto(dim, sums, group.leaf, group.over)
        return np.stack([sum_onto(dim, row, group.leaf) for row in sums])

    def _producers(self, group: Group) -> list[Member]:
        producers = [m for m in group.members if m.producer and m.weight not in self._gains.folded]
        return producers or group.members

    def _slice_of(self, group: Group, member: Member) -> _Slice:
        if group.over is None:
            return _Slice(member.weight, member.axis)
        dims = self._analysis.values[member.weight].dims
        by = block_axis(dims, member.axis, group.leaf, group.over)
        blocks = 1 if by is None else group.over.size
        return _Slice(member.weight, member.axis, by, blocks)

    def _read(self, wanted: set[_Slice]) -> dict[_Slice, Scores]:
        """Sums of all slices; every weight is read once."""
        by_weight: dict[str, list[_Slice]] = {}
        for part in wanted:
            by_weight.setdefault(part.weight, []).append(part)
        constants = self._analysis.canonical.model.constants
        sums: dict[_Slice, Scores] = {}
        for name, parts in by_weight.items():
            array = constants[name].numpy()
            for part in parts:
                sums[part] = part.power_sums(array, self._square)
        return sums


@dataclass(frozen=True, slots=True)
class _Slice:
    """An axis of a weight, summed over all others; for each block of axis `by`, if there is one."""

    weight: str
    axis: int
    by: int | None = None
    blocks: int = 1

    def power_sums(self, array: npt.NDArray[Any], square: bool) -> Scores:
        """Shape ``[n]``, or ``[blocks, n]``."""
        if self.by is None:
            return _power_sums(array, self.axis, square)
        parts = np.split(array, self.blocks, axis=self.by)
        return np.stack([_power_sums(part, self.axis, square) for part in parts])


def _power_sums(array: npt.NDArray[Any], axis: int, square: bool) -> Scores:
    """Sum of |w| or w² over all axes but one; float32 partial sums, float64 at the end."""
    if array.dtype.itemsize < 4 or array.dtype.kind not in "f":
        array = array.astype(np.float32)
    lead = int(np.prod(array.shape[:axis]))
    table = array.reshape(lead, array.shape[axis], -1)
    sums = np.einsum("anb,anb->n", table, table) if square else np.abs(table).sum(axis=(0, 2))
    wide: Scores = sums.astype(np.float64)
    return wide
