"""Fidelity: how close the pruned model stays to the original, output by output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.data.narrow import Kept, narrowed
from onnxprune.data.random import Feeds
from onnxprune.runtime import Session


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How one output of the pruned model compares with the original's.

    Attributes:
        cosine: cosine of the angle between both, in [-1, 1].
        sqnr_db: signal to noise in decibels, 10·log10(Σ x² / Σ (x - y)²).
        max_abs: largest absolute difference.
        top1: share of rows whose largest entry is the same; None for outputs that are no scores.
    """

    cosine: float
    sqnr_db: float
    max_abs: float
    top1: float | None


def measure_fidelity(
    original: Session, pruned: Session, feeds: Sequence[Feeds], ports: Kept | None = None
) -> dict[str, Fidelity]:
    """Compare all floating-point outputs of two models on the same inputs.

    Args:
        original: the model before.
        pruned: the model after.
        feeds: inputs of the original.
        ports: what the pruned model keeps of inputs and outputs; only that is compared.
    """
    kept = ports or {}
    first = [narrowed(original.run(feed), kept) for feed in feeds]
    second = [pruned.run(narrowed(feed, kept)) for feed in feeds]
    return {
        name: compare_outputs([run[name] for run in first], [run[name] for run in second])
        for name in first[0]
        if first[0][name].dtype.kind in "fV" and name in second[0]
    }


def compare_outputs(
    original: Sequence[npt.NDArray[Any]], pruned: Sequence[npt.NDArray[Any]]
) -> Fidelity:
    """Compare one output over several inputs; values that are not finite are left out."""
    x = np.concatenate([array.reshape(-1) for array in original]).astype(np.float64)
    y = np.concatenate([array.reshape(-1) for array in pruned]).astype(np.float64)
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    signal, noise = float(x @ x), float((x - y) @ (x - y))
    norm = np.sqrt(signal * float(y @ y))
    cosine = float(x @ y) / norm if norm > 0 else float(signal == float(y @ y))
    sqnr = float("inf") if noise == 0 else 10 * np.log10(max(signal, 1e-300) / noise)
    largest = float(np.abs(x - y).max(initial=0.0))
    return Fidelity(cosine, float(sqnr), largest, _agreement(original, pruned))


def _agreement(
    original: Sequence[npt.NDArray[Any]], pruned: Sequence[npt.NDArray[Any]]
) -> float | None:
    if original[0].ndim < 2 or original[0].shape[-1] < 2:
        return None
    pairs = [
        (np.argmax(a, axis=-1), np.argmax(b, axis=-1))
        for a, b in zip(original, pruned, strict=True)
    ]
    rows = sum(a.size for a, _ in pairs)
    same = sum(int(np.count_nonzero(a == b)) for a, b in pairs)
    return float(same) / max(int(rows), 1)
