"""Inputs for a model of which some input axes were pruned, and outputs to compare with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
Kept = dict[str, dict[int, npt.NDArray[np.intp]]]
"""Indices that stay, ascending, by name of a tensor and axis; what is absent stays whole."""


def narrowed(arrays: Arrays, kept: Kept) -> dict[str, npt.NDArray[Any]]:
    """The arrays without the indices that are gone."""
    result = dict(arrays)
    for name in kept.keys() & arrays.keys():
        for axis, indices in kept[name].items():
            result[name] = np.take(result[name], indices, axis=axis)
    return result


def hidden(arrays: Arrays, kept: Kept) -> dict[str, npt.NDArray[Any]]:
    """The arrays in their full size, with 0 where indices are gone."""
    result = dict(arrays)
    for name in kept.keys() & arrays.keys():
        for axis, indices in kept[name].items():
            shown = np.zeros(result[name].shape[axis], dtype=np.bool_)
            shown[indices] = True
            places = shown.reshape([-1] + [1] * (result[name].ndim - axis - 1))
            result[name] = np.where(places, result[name], np.zeros((), result[name].dtype))
    return result


def composed(first: Kept, second: Kept) -> Kept:
    """What two removals in a row keep, in the indices of what the first one started from."""
    result = {name: dict(axes) for name, axes in first.items()}
    for name, axes in second.items():
        mine = result.setdefault(name, {})
        for axis, indices in axes.items():
            mine[axis] = mine[axis][indices] if axis in mine else indices
    return result
