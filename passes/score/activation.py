"""Activations: a channel matters as much as what flows along it.

Sources: P. Molchanov, S. Tyree, T. Karras, T. Aila, J. Kautz, "Pruning Convolutional Neural
Networks for Resource Efficient Inference", ICLR 2017 (mean); A. Polyak, L. Wolf, "Channel-level
Acceleration of Deep Face Representations", IEEE Access 2015 (variance); H. Hu, R. Peng, Y. Tai,
C. Tang, "Network Trimming: A Data-Driven Neuron Pruning Approach towards Efficient Deep
Architectures", 2016 (average percentage of zeros).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from onnxprune.axes import sum_onto
from onnxprune.coupling.groups import Group
from onnxprune.ir.sums import Axis
from onnxprune.passes.score.combining import by_mean
from onnxprune.passes.score.magnitude import l2
from onnxprune.passes.score.readers import find_readers
from onnxprune.passes.score.scoring import Scores, Scoring
from onnxprune.passes.score.statistics import Array, Sums, collect_sums


def mean(scoring: Scoring) -> dict[Group, Scores]:
    """Mean absolute value of what is read."""
    return _read(scoring, lambda sums: sums.size / sums.count)


def variance(scoring: Scoring) -> dict[Group, Scores]:
    """Variance of what is read: a constant channel is a bias."""
    return _read(scoring, lambda sums: sums.variance)


def activity(scoring: Scoring) -> dict[Group, Scores]:
    """Share of what is read that is not zero."""
    return _read(scoring, lambda sums: 1 - sums.zeros / sums.count)


def wanda(scoring: Scoring) -> dict[Group, Scores]:
    """Norm of what is read times norm of the weights that read it.

    Source: M. Sun, Z. Liu, A. Bair, J. Z. Kolter, "A Simple and Effective Pruning Approach for
    Large Language Models", ICLR 2024; here summed over what a channel leads to.
    """
    return _read(scoring, lambda sums: sums.squares / sums.count, weigh=True)


def _read(
    scoring: Scoring, measure: Callable[[Sums], Array], *, weigh: bool = False
) -> dict[Group, Scores]:
    """Measure what the readers of each group read.

    Args:
        scoring: the groups.
        measure: one number for each index of the axis that is read.
        weigh: whether the measure is of squares, and meets those of the reader's weights.
    """
    return from_readers(
        scoring,
        lambda wanted: {
            axis: measure(sums)
            for axis, sums in collect_sums(scoring.analysis, wanted, scoring.batches()).items()
        },
        weigh=weigh,
    )


def from_readers(
    scoring: Scoring,
    measure: Callable[[Collection[Axis]], Mapping[Axis, Array]],
    *,
    weigh: bool,
) -> dict[Group, Scores]:
    """Put the scores of a group's readers together; groups without any go by their weights.

    Args:
        scoring: the groups.
        measure: one number for each index of the axes that are read.
        weigh: whether the measure is of squares, and meets those of the reader's weights.
    """
    readers = find_readers(scoring.analysis, scoring.groups)
    wanted = {(r.activation, r.axis) for many in readers.values() for r in many}
    measures: Mapping[Axis, Array] = measure(wanted) if wanted else {}
    found: dict[Group, list[Scores]] = {}
    for group, many in readers.items():
        for reader in many:
            dim = scoring.analysis.values[reader.activation].dims[reader.axis]
            read = measures[reader.activation, reader.axis]
            scores = sum_onto(dim, read, group.leaf, group.over)
            if weigh:
                table = scoring.table(group, reader.member)
                scores = np.sqrt(scores * np.square(table).sum(axis=-1, dtype=np.float64))
            found.setdefault(group, []).append(
                scores if scoring.normalization == "none" else by_mean(scores)
            )
    rest = l2(scoring.only(group for group in scoring.groups if group not in found))
    scored = scoring.combined(found) | rest
    return {group: scored[group] for group in scoring.groups}
