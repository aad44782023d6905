"""Selection by threshold: all that matters less than a number."""

from __future__ import annotations

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.passes.select.selection import LARGEST_RATIO, Selection, by_index


def thresholded(selection: Selection, threshold: float) -> dict[Dim, Keep]:
    """Remove what scores less than `threshold`; widths are rounded.

    With the usual normalisation a group's mean score is 1: 0.5 removes what matters less than half
    as much as the group's average.
    """
    shares = {
        group: min(np.count_nonzero(by_index(scores) < threshold) / group.size, LARGEST_RATIO)
        for group, scores in selection.free.items()
    }
    return selection.keep(shares)
