"""Random images that are more like photographs than white noise is.

Neighbours are alike: amplitudes fall with the frequency, as those of natural scenes do (D. Field,
"Relations between the statistics of natural images and the response properties of cortical cells",
Journal of the Optical Society of America A, 1987). Nobody tells how inputs are scaled, so sets take
turns: around zero, above it, below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.data.random import Feeds

Array = npt.NDArray[Any]
TURNS = ((1.0, 0.0), (0.5, 0.5), (0.5, -0.5))
"""Standard deviation and mean of the images of a set, by turns."""
_LEAST = 4
"""An axis of fewer places is no axis of an image."""


def natural(feeds: Mapping[str, Array], turn: int) -> Feeds:
    """White noise as images of the same types and shapes; what is no image stays as it is.

    Images are floating-point inputs ``[n, c, *places]`` of two axes of places or more, and bytes
    with two long axes side by side.

    Args:
        feeds: random inputs.
        turn: number of the set.
    """
    return {name: _natural(array, turn) for name, array in feeds.items()}


def _natural(array: Array, turn: int) -> Array:
    scale, mean = TURNS[turn % len(TURNS)]
    if array.dtype.kind == "f" and array.ndim >= 4:
        images = _smooth(array.astype(np.float64), tuple(range(2, array.ndim)))
        return np.asarray(images * scale + mean).astype(array.dtype)
    axes = [axis for axis in range(1, array.ndim) if array.shape[axis] >= _LEAST][:2]
    if array.dtype.kind in "iu" and array.dtype.itemsize == 1 and len(axes) == 2:
        info = np.iinfo(array.dtype)
        half = (info.max - info.min) / 2
        images = _smooth(array.astype(np.float64) - info.min - half, tuple(axes))
        shades = info.min + half * (1 + 0.5 * images * scale + mean)
        return np.asarray(np.clip(np.rint(shades), info.min, info.max)).astype(array.dtype)
    return array


def _smooth(noise: Array, axes: tuple[int, ...]) -> Array:
    """Noise whose amplitudes fall with the frequency; mean 0 and deviation 1 in each image."""
    radius = np.zeros(())
    for axis in axes:
        size = noise.shape[axis]
        along = [1] * noise.ndim
        along[axis] = size
        radius = radius + np.square(np.fft.fftfreq(size)).reshape(along)
    radius = np.sqrt(radius)
    slowest = radius[radius > 0].min(initial=1.0)
    spectrum = np.fft.fftn(noise, axes=axes) / np.maximum(radius, slowest)
    images = np.fft.ifftn(spectrum, axes=axes).real
    images = images - images.mean(axis=axes, keepdims=True)
    deviation: Array = images.std(axis=axes, keepdims=True)
    return np.asarray(images / np.where(deviation > 0, deviation, 1.0))
