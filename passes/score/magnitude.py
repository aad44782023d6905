"""Magnitude: a channel matters as much as the weights that produce it are large.

Source: H. Li, A. Kadav, I. Durdanovic, H. Samet, H. P. Graf, "Pruning Filters for Efficient
ConvNets", ICLR 2017 (l1); the sum over coupled weights follows G. Fang et al., "DepGraph: Towards
Any Structural Pruning", CVPR 2023.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, sum_onto
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group, Member
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
        wanted = {(m.weight, m.axis) for group in groups for m in self._producers(group)}
        self._norms = self._read(wanted)

    def score(self, group: Group) -> Scores:
        """Importance of each index of a group.

        Each weight's norms are divided by their mean, so that a normalisation's scale counts as
        much as a kernel of thousands of elements; the score is the mean over the weights.

        Returns:
            Shape ``[v]``, or ``[g, v]`` where the selection may be ragged.
        """
        shape = (group.size,) if group.over is None else (group.over.size, group.size)
        total = np.zeros(shape)
        producers = self._producers(group)
        for member in producers:
            dim = self._analysis.values[member.weight].dims[member.axis]
            norms = sum_onto(dim, self._behind_gain(member, dim), group.leaf, group.over)
            if self._square:
                norms = np.sqrt(norms)
            mean = norms.mean()
            total += norms / mean if mean > 0 else norms
        return total / max(len(producers), 1)

    def _producers(self, group: Group) -> list[Member]:
        producers = [m for m in group.members if m.producer and m.weight not in self._gains.folded]
        return producers or group.members

    def _behind_gain(self, member: Member, dim: Dim) -> Scores:
        norms = self._norms[member.weight, member.axis]
        factor = self._gains.factors.get((member.weight, dim.root))
        if factor is None:
            return norms
        return norms * (np.square(factor) if self._square else np.abs(factor))

    def _read(self, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], Scores]:
        constants = self._analysis.canonical.model.constants
        axes: dict[str, list[int]] = {}
        for name, axis in sorted(wanted):
            axes.setdefault(name, []).append(axis)
        norms: dict[tuple[str, int], Scores] = {}
        for name, places in axes.items():
            array = constants[name].numpy()
            for axis in places:
                norms[name, axis] = _power_sums(array, axis, self._square)
        return norms


def _power_sums(array: npt.NDArray[Any], axis: int, square: bool) -> Scores:
    """Sum of |w| or w² over all axes but one; float32 partial sums, float64 at the end."""
    if array.dtype.itemsize < 4 or array.dtype.kind not in "f":
        array = array.astype(np.float32)
    lead = int(np.prod(array.shape[:axis]))
    table = array.reshape(lead, array.shape[axis], -1)
    sums = np.einsum("anb,anb->n", table, table) if square else np.abs(table).sum(axis=(0, 2))
    wide: Scores = sums.astype(np.float64)
    return wide
