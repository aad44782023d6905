"""Seeded random inputs that a model can take.

Indices lie within the tables that they look up, masks are mostly on, images and features are
standard normal numbers, bytes are any. Single numbers that conditions depend on take each of their
choices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Feeds = dict[str, npt.NDArray[Any]]
COMBINATIONS = 8
"""More combinations of choices than that are not all tried; a power of 2."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: its name.
        dtype: numpy dtype.
        shape: concrete shape.
        limit: integers lie in ``[0, limit)``; None where nothing bounds them, as in a mask.
        choices: what a single integer or truth value should be in turn; none if it does not matter.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    limit: int | None = None
    choices: tuple[int, ...] = ()


def random_sets(
    specs: Iterable[InputSpec], count: int, seed: int = 0, amplitude: float = 1.0
) -> list[Feeds]:
    """Random inputs, `count` sets for each combination of choices; see `random_feeds`.

    Of more than `COMBINATIONS`, so many are taken that any two inputs meet in different ways.
    """
    inputs = list(specs)
    sets: list[Feeds] = []
    for chosen in _combinations(inputs):
        for _ in range(count):
            feeds = random_feeds(inputs, seed + len(sets), amplitude)
            for spec, value in zip(inputs, chosen, strict=True):
                if value is not None:
                    feeds[spec.name] = np.full(spec.shape, value, spec.dtype)
            sets.append(feeds)
    return sets


def _combinations(specs: Iterable[InputSpec]) -> list[tuple[int | None, ...]]:
    choices: list[tuple[int | None, ...]] = [spec.choices or (None,) for spec in specs]
    if prod(len(options) for options in choices) <= COMBINATIONS:
        return list(product(*choices))
    # The rows of a Hadamard matrix: any two columns with two signs show all four pairs.
    masks = [place % (COMBINATIONS - 1) + 1 for place in range(len(choices))]
    return [
        tuple(
            options[(turn & mask).bit_count() % len(options)]
            for options, mask in zip(choices, masks, strict=True)
        )
        for turn in range(COMBINATIONS)
    ]


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
    return [replace(spec, shape=tuple(shapes.get(spec.name, spec.shape))) for spec in specs]


def _draw(spec: InputSpec, rng: np.random.Generator, amplitude: float) -> npt.NDArray[Any]:
    drawn: npt.NDArray[Any]
    if spec.dtype == np.bool_:
        drawn = np.asarray(rng.random(spec.shape) < 0.8)
    elif spec.dtype.kind in "iu" and spec.limit is not None:
        drawn = np.asarray(rng.integers(0, max(spec.limit, 1), spec.shape))
    elif spec.dtype.kind in "iu" and spec.dtype.itemsize == 1:
        info = np.iinfo(spec.dtype)
        drawn = rng.integers(info.min, info.max, spec.shape, endpoint=True)
    elif spec.dtype.kind in "iu":
        drawn = np.asarray(rng.random(spec.shape) < 0.8)
        drawn.reshape(-1)[:1] = True
    else:
        drawn = np.asarray(rng.standard_normal(spec.shape) * amplitude)
    return drawn.astype(spec.dtype)
