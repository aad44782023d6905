"""Fidelity: how close the pruned model stays to the original, output by output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.data.narrow import Kept, narrowed
from onnxprune.data.random import Feeds
from onnxprune.progress import track
from onnxprune.runtime import Session
from onnxprune.verify.deviation import MUTE
from onnxprune.verify.scores import Outputs, choices

Array = npt.NDArray[Any]

ERROR_EDGES = np.linspace(-8.0, 2.0, 41)
"""Of the bins of `Fidelity.errors`: decimal logarithms of error / standard deviation."""
_FINE = 20
"""Bins to a decade while the standard deviation is not known yet."""
_LOWEST, _HIGHEST = -30, 20
"""Decades of absolute errors; what lies beyond counts with the outermost."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How one output of the pruned model compares with the original's.

    Attributes:
        cosine: cosine of the angle between both, in [-1, 1].
        sqnr_db: signal to noise in decibels, 10·log10(Σ x² / Σ (x - y)²).
        max_abs: largest absolute difference.
        top1: share of rows whose largest entry is the same; None for outputs that are no scores.
        non_finite: values of the pruned model that are not finite where the original's are.
        reacts: whether the original's output varies with the input; if not, this says nothing.
        errors: how many elements have an absolute difference of so many standard deviations of the
            output, by the bins of `ERROR_EDGES`; smaller ones count with the first bin, larger ones
            with the last. Empty where it was not asked for.
    """

    cosine: float
    sqnr_db: float
    max_abs: float
    top1: float | None
    non_finite: int = 0
    reacts: bool = True
    errors: tuple[int, ...] = ()


@dataclass(slots=True)
class Closeness:
    """How close arrays are to others, added up so that none has to be kept.

    Values that are not finite are left out where they are the original's, and count as 0 where they
    are the pruned model's: what collapsed is not like the original.

    Attributes:
        sums: of original · pruned, original · original, pruned · pruned, and squared differences.
        max_abs: largest absolute difference.
        non_finite: values that the pruned model alone has not finite.
        same: rows whose largest entry is the same.
        rows: number of rows, of arrays that can be scores.
        reacts: whether the original varies within an array or from one to the next.
        errors: absolute differences, by bins of their logarithms; None where it is not asked for.
        total: sum of the original's values.
        count: their number.
    """

    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    max_abs: float = 0.0
    non_finite: int = 0
    same: int = 0
    rows: int = 0
    reacts: bool = False
    errors: npt.NDArray[np.int64] | None = None
    total: float = 0.0
    count: int = 0
    _last: Array | None = None

    def add(self, original: Array, pruned: Array) -> None:
        """Take two arrays of one shape."""
        first, second = original.astype(np.float64), pruned.astype(np.float64)
        known = np.isfinite(first)
        x, y = first[known], second[known]
        finite = np.isfinite(y)
        y = np.where(finite, y, 0.0)
        self.sums = self.sums + np.array([x @ y, x @ x, y @ y, (x - y) @ (x - y)])
        self.max_abs = max(self.max_abs, float(np.abs(x - y).max(initial=0.0)))
        if self.errors is not None:
            self.errors = self.errors + _binned(np.abs(x - y))
            self.total += float(x.sum())
            self.count += x.size
        self.reacts = self.reacts or _varies(first, self._last)
        self._last = None if self.reacts else original
        self.non_finite += int(np.count_nonzero(~finite))
        if first.ndim >= 2 and first.shape[-1] >= 2:
            same = choices(first) == choices(second)
            self.same += int(np.count_nonzero(same))
            self.rows += same.size

    @property
    def cosine(self) -> float:
        """The cosine; of two zeros it is 1."""
        across, first, second, _ = self.sums.tolist()
        norm = (first * second) ** 0.5
        return across / norm if norm else float(first == second)

    def fidelity(self) -> Fidelity:
        """What it came to."""
        _, signal, _, noise = self.sums.tolist()
        sqnr = 10 * np.log10(max(signal, 1e-300) / noise) if noise else np.inf
        top1 = self.same / self.rows if self.rows else None
        errors = () if self.errors is None else tuple(self._errors(self.errors).tolist())
        return Fidelity(
            self.cosine, float(sqnr), self.max_abs, top1, self.non_finite, self.reacts, errors
        )

    def _errors(self, fine: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Errors in standard deviations of the original; of a constant, as they are."""
        count = max(self.count, 1)
        variance = float(self.sums[1]) / count - (self.total / count) ** 2
        scale = 0.5 * np.log10(variance) if variance > 0 else 0.0
        middles = _LOWEST + (np.arange(fine.size) + 0.5) / _FINE - scale
        bins = np.clip(np.digitize(middles, ERROR_EDGES) - 1, 0, len(ERROR_EDGES) - 2)
        found: npt.NDArray[np.int64] = np.zeros(len(ERROR_EDGES) - 1, dtype=np.int64)
        np.add.at(found, bins, fine)
        return found


def _no_errors() -> npt.NDArray[np.int64]:
    return np.zeros((_HIGHEST - _LOWEST) * _FINE, dtype=np.int64)


def _binned(errors: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """How many errors fall into each fine bin of their logarithms."""
    logarithms = np.log10(np.maximum(errors, 10.0**_LOWEST))
    size = (_HIGHEST - _LOWEST) * _FINE
    places = np.clip((logarithms - _LOWEST) * _FINE, 0, size - 1).astype(np.int64)
    return np.bincount(places, minlength=size)


def _varies(array: npt.NDArray[np.float64], last: Array | None) -> bool:
    """Whether samples of an array differ, or it differs from another one."""
    finite = np.nan_to_num(array, posinf=0.0, neginf=0.0)
    least = MUTE * (float(np.mean(finite**2)) ** 0.5 if array.size else 0.0)
    if array.ndim >= 2 and len(array) >= 2 and float(np.abs(finite - finite[:1]).max()) > least:
        return True
    if last is None:
        return False
    other = np.nan_to_num(last.astype(np.float64), posinf=0.0, neginf=0.0)
    return other.shape != array.shape or float(np.abs(finite - other).max(initial=0.0)) > least


class Fidelities:
    """The closeness of all floating-point outputs, a batch at a time.

    An output of which the two models give different shapes, as what a threshold lets through, is
    left out.
    """

    def __init__(self, *, errors: bool = False) -> None:
        """Start with no outputs.

        Args:
            errors: whether the distribution of errors is asked for.
        """
        self._errors = errors
        self._outputs: dict[str, Closeness] = {}
        self._uneven: set[str] = set()

    def add(self, original: Outputs, pruned: Outputs) -> None:
        """Take what both models give for a batch, by name."""
        for name in original.keys() & pruned.keys():
            if original[name].shape != pruned[name].shape:
                self._uneven.add(name)
        for name, array in original.items():
            if array.dtype.kind in "fV" and name in pruned and name not in self._uneven:
                if name not in self._outputs:
                    self._outputs[name] = Closeness(errors=_no_errors() if self._errors else None)
                self._outputs[name].add(array, pruned[name])

    def noise(self) -> float | None:
        """Σ (x - y)² / Σ x², averaged over outputs; None if there are none to compare.

        Infinite where values are no longer finite.
        """
        return self._averaged(lambda found: found.sums[3] / max(found.sums[1], 1e-300))

    def angle(self) -> float | None:
        """The squared sine of the angle between both, averaged over outputs; see `noise`.

        It is what is left of the noise if each output may be scaled.
        """
        return self._averaged(lambda found: 1 - found.cosine**2)

    def _averaged(self, measure: Callable[[Closeness], float]) -> float | None:
        found = [c for name, c in self._outputs.items() if name not in self._uneven]
        if any(closeness.non_finite for closeness in found):
            return float("inf")
        return float(np.mean([measure(closeness) for closeness in found])) if found else None

    def found(self) -> dict[str, Fidelity]:
        """What it came to, by output."""
        compared = self._outputs.items()
        return {name: found.fidelity() for name, found in compared if name not in self._uneven}


def measure_fidelity(
    original: Session, pruned: Session, feeds: Iterable[Feeds], ports: Kept | None = None
) -> dict[str, Fidelity]:
    """Compare all floating-point outputs of two models on the same inputs.

    Args:
        original: the model before.
        pruned: the model after.
        feeds: inputs of the original.
        ports: what the pruned model keeps of inputs and outputs; only that is compared.
    """
    found = Fidelities(errors=True)
    for feed in track(feeds, "comparing outputs"):
        found.add(*run_both(original, pruned, feed, ports or {}))
    return found.found()


def run_both(
    original: Session, pruned: Session, feeds: Feeds, ports: Kept
) -> tuple[Outputs, Outputs]:
    """Run two models on the same inputs.

    Args:
        original: the model before.
        pruned: the model after.
        feeds: inputs of the original.
        ports: what the pruned model keeps of inputs and outputs.

    Returns:
        The outputs of both that are tensors, by name: what the pruned model keeps of them.

    Raises:
        RuntimeFailureError: ONNX Runtime cannot run a model.
    """
    before = narrowed(original.run(feeds, tensor_outputs(original)), ports)
    return before, pruned.run(narrowed(feeds, ports), tensor_outputs(pruned))


def compare_outputs(original: Sequence[Array], pruned: Sequence[Array]) -> Fidelity:
    """Compare one output over several inputs; see `Closeness`."""
    closeness = Closeness()
    for x, y in zip(original, pruned, strict=True):
        closeness.add(x, y)
    return closeness.fidelity()


def tensor_outputs(session: Session) -> list[str]:
    """The outputs that are tensors, and not sequences or maps."""
    return [port.name for port in session.outputs if port.dtype.startswith("tensor(")]
