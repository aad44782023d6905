"""Seeded random inputs that a model can take.

Indices lie within the tables that they look up, masks are mostly on, images and features are
standard normal numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Feeds = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: its name.
        dtype: numpy dtype.
        shape: concrete shape.
        limit: integers lie in ``[0, limit)``; None where nothing bounds them, as in a mask.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    limit: int | None = None


def random_feeds(specs: Iterable[InputSpec], seed: int = 0, amplitude: float = 1.0) -> Feeds:
    """Random inputs; equal seeds give equal inputs.

    Args:
        specs: the inputs.
        seed: of the random numbers.
        amplitude: standard deviation of floating-point inputs.
    """
    rng = np.random.default_rng(seed)
    return {spec.name: _draw(spec, rng, amplitude) for spec in specs}


def resized(specs: Iterable[InputSpec], shapes: Mapping[str, tuple[int, ...]]) -> list[InputSpec]:
    """The same inputs at other shapes."""
    return [
        InputSpec(spec.name, spec.dtype, tuple(shapes.get(spec.name, spec.shape)), spec.limit)
        for spec in specs
    ]


def _draw(spec: InputSpec, rng: np.random.Generator, amplitude: float) -> npt.NDArray[Any]:
    drawn: npt.NDArray[Any]
    if spec.dtype == np.bool_:
        drawn = np.asarray(rng.random(spec.shape) < 0.8)
    elif spec.dtype.kind in "iu" and spec.limit is not None:
        drawn = np.asarray(rng.integers(0, max(spec.limit, 1), spec.shape))
    elif spec.dtype.kind in "iu":
        drawn = np.asarray(rng.random(spec.shape) < 0.8)
        drawn.reshape(-1)[:1] = True
    else:
        drawn = np.asarray(rng.standard_normal(spec.shape) * amplitude)
    return drawn.astype(spec.dtype)
