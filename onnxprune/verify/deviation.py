"""How one tensor differs between two models, measured against its own variation over inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.ir.exposure import ABSENT
from onnxprune.verify.steps import is_coarse, steps
from onnxprune.verify.tolerance import Tolerance, Tolerances

MUTE = 1e-4
"""A tensor whose variation is below this share of its size does not react."""
EXTREME = 1e30
"""Beyond this a number stands for infinity, as in attention masks; it has no part in sizes."""

TOLERANCES = Tolerances()
"""Those that hold unless others are given."""

Array = npt.NDArray[Any]
Kinds = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Deviation:
    """How one tensor differs between two models.

    Attributes:
        name: the value.
        max_abs: largest absolute deviation; of integers the share of elements that differ, of
            quantized numbers how many steps they are apart on average.
        max_rel: that, as a share of the tensor's variation over inputs. Where rounding allows more
            than that, it is scaled so that the tolerance marks the bound in any case. Outliers that
            the tolerance grants have no part in it.
        reacts: whether it varies with the input.
        passed: whether the deviation is within tolerance.
        overflows: whether it is not finite at other places; where rounding decides about them, that
            proves nothing.
        elsewhere: whether one model alone computes it: the other one took another branch.
    """

    name: str
    max_abs: float
    max_rel: float
    reacts: bool
    passed: bool
    overflows: bool = False
    elsewhere: bool = False


def compare(
    name: str,
    reference: Sequence[Array],
    pruned: Sequence[Array],
    tolerances: Tolerances = TOLERANCES,
) -> Deviation:
    """Compare one tensor over several inputs.

    Args:
        name: the value.
        reference: one array for each input.
        pruned: likewise.
        tolerances: how far they may be apart.
    """
    pairs = list(zip(reference, pruned, strict=True))
    both = [pair for pair in pairs if not _elsewhere(*pair)]
    if len(both) < len(pairs):
        one, other = ([pair[side] for pair in both] for side in (0, 1))
        there = compare(name, one, other, tolerances) if both else None
        error = there.max_abs if there else 0.0
        return Deviation(name, error, float("inf"), True, False, elsewhere=True)
    if any(a.shape != b.shape for a, b in pairs):
        return Deviation(name, float("inf"), float("inf"), True, False)
    dtype = reference[0].dtype
    if is_coarse(dtype):
        return _compare_steps(name, reference, pruned, tolerances.of(dtype))
    if dtype.kind not in "fV":
        return _compare_exact(name, reference, pruned, tolerances)
    tolerance = tolerances.of(dtype)
    first = [_calm(array) for array in reference]
    second = [_calm(array) for array in pruned]
    if any(not _same_kinds(a[1], b[1]) for a, b in zip(first, second, strict=True)):
        overflows = not all(np.isfinite(array.astype(np.float32)).all() for array in reference)
        error = 0.0 if overflows else float("inf")
        return Deviation(name, error, float("inf"), True, False, overflows=overflows)
    arrays, others = [a for a, _ in first], [b for b, _ in second]
    compared = list(zip(arrays, others, strict=True))
    error = max(largest_difference(a, b) for a, b in compared)
    counted = error
    if tolerance.outliers:
        counted = max(_usual_difference(a, b, tolerance.outliers) for a, b in compared)
    spread = _spread(arrays)
    peak = max(_peak(array) for array in arrays)
    reacts = spread > MUTE * max(_rms(array) for array in arrays)
    bound = max(tolerance.relative * spread if reacts else 0.0, tolerance.floor * peak)
    share = counted / bound if bound > 0 else (0.0 if counted == 0 else float("inf"))
    return Deviation(name, error, tolerance.relative * share, reacts, counted <= bound)


@dataclass(frozen=True, slots=True)
class Noise:
    """What rounding alone does to a tensor.

    Attributes:
        max_abs: how far it moves it, where it leaves it finite; measured as of a `Deviation`.
        elsewhere: whether it decides if the tensor is computed at all.
        overflows: whether it decides where the tensor is finite.
    """

    max_abs: float = 0.0
    elsewhere: bool = False
    overflows: bool = False

    def joined(self, other: Noise) -> Noise:
        """What it does in one run or another."""
        return Noise(
            max(self.max_abs, other.max_abs),
            self.elsewhere or other.elsewhere,
            self.overflows or other.overflows,
        )


def noise_between(plain: Array, moved: Array) -> Noise:
    """What rounding did to one tensor.

    Args:
        plain: as it is.
        moved: as it is when rounding goes another way.
    """
    if plain.shape != moved.shape:
        elsewhere = _elsewhere(plain, moved)
        return Noise(0.0 if elsewhere else float("inf"), elsewhere)
    if is_coarse(plain.dtype):
        return Noise(float(np.abs(steps(plain) - steps(moved)).mean()) if plain.size else 0.0)
    if plain.dtype.kind not in "fV":
        return Noise(_share_of_others(plain, moved))
    (a, kinds), (b, others) = _calm(plain), _calm(moved)
    for extreme in (kinds, others):
        if extreme is not None:
            a, b = (np.where(extreme, array.dtype.type(0), array) for array in (a, b))
    return Noise(largest_difference(a, b), overflows=not _same_kinds(kinds, others))


def largest_difference(a: Array, b: Array) -> float:
    """Largest absolute difference of two arrays of numbers that are not extreme."""
    return _peak(np.subtract(a, b, dtype=np.promote_types(a.dtype, np.float32)))


def _usual_difference(a: Array, b: Array, outliers: float) -> float:
    """The largest difference of two arrays but for a share of their elements."""
    far = np.abs(np.subtract(a, b, dtype=np.promote_types(a.dtype, np.float32))).reshape(-1)
    rank = far.size - 1 - int(far.size * outliers)
    return float(np.partition(far, rank)[rank]) if far.size else 0.0


def _compare_exact(
    name: str, reference: Sequence[Array], pruned: Sequence[Array], tolerances: Tolerances
) -> Deviation:
    """Integers and truth values: a comparison near its threshold may flip here and there."""
    wrong = max(_share_of_others(a, b) for a, b in zip(reference, pruned, strict=True))
    reacts = any(not np.array_equal(reference[0], other) for other in reference[1:])
    tolerance = tolerances.of(np.dtype(np.float32))
    return Deviation(
        name, wrong, wrong, reacts, wrong <= max(tolerance.relative, tolerance.outliers)
    )


def _compare_steps(
    name: str, reference: Sequence[Array], pruned: Sequence[Array], tolerance: Tolerance
) -> Deviation:
    """Quantized numbers: a last bit before rounding moves a few elements by a step.

    What is off by a part of a step is rounded to the next one as often as that part says, so that
    the bound of the mean is that of any number. No element may be off by that and more than a step.
    """
    first, second = ([steps(array) for array in arrays] for arrays in (reference, pruned))
    apart = [np.abs(a - b) for a, b in zip(first, second, strict=True)]
    mean = max(float(array.mean()) if array.size else 0.0 for array in apart)
    spread = _spread(first)
    bound = tolerance.relative * max(spread, 1.0)
    far = max(float(np.count_nonzero(x > bound + 1)) / max(x.size, 1) for x in apart)
    share = mean / max(bound, 1 / max(first[0].size, 1))
    passed = share <= 1 and far <= tolerance.outliers
    error = tolerance.relative * share if share > 1 or passed else float("inf")
    return Deviation(name, mean, error, spread > 0, passed)


def _share_of_others(a: Array, b: Array) -> float:
    return float(np.count_nonzero(a != b)) / max(a.size, 1)


def _elsewhere(a: Array, b: Array) -> bool:
    return (a.shape == ABSENT) != (b.shape == ABSENT)


def _calm(array: Array) -> tuple[Array, Kinds | None]:
    """The array with 0 in extreme places, and their kinds (NaN 2, otherwise the sign), if any."""
    wide = array if array.dtype.name in ("float32", "float64") else array.astype(np.float32)
    if _peak(wide) <= EXTREME:  # False for NaN, too
        return wide, None
    extreme = ~(np.abs(wide) <= EXTREME)
    kinds = np.where(np.isnan(wide), 2, np.sign(wide)).astype(np.int8) * extreme
    return np.where(extreme, wide.dtype.type(0), wide), kinds


def _same_kinds(a: Kinds | None, b: Kinds | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


def _spread(arrays: Sequence[Array]) -> float:
    """Largest distance of an array from the first of its shape: shapes may follow the data."""
    first: dict[tuple[int, ...], Array] = {}
    return max(_rms(first.setdefault(array.shape, array) - array) for array in arrays)


def _peak(array: Array) -> float:
    return max(float(array.max()), -float(array.min())) if array.size else 0.0


def _rms(array: Array) -> float:
    return float(np.linalg.norm(array.reshape(-1))) / array.size**0.5 if array.size else 0.0
