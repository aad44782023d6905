"""Random images in which neighbours are alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from onnxprune.data.natural import TURNS, natural


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def likeness(images: npt.NDArray[Any], axis: int) -> float:
    """Correlation of neighbours along an axis."""
    moved = np.moveaxis(images.astype(np.float64), axis, -1)
    return float(np.corrcoef(moved[..., 1:].ravel(), moved[..., :-1].ravel())[0, 1])


@pytest.mark.parametrize("shape", [(4, 3, 32, 24), (2, 3, 9, 16, 16)])
@pytest.mark.parametrize("turn", range(len(TURNS)))
def test_neighbours_are_alike(rng: np.random.Generator, shape: tuple[int, ...], turn: int) -> None:
    noise = rng.standard_normal(shape).astype(np.float32)
    images = natural({"x": noise}, turn)["x"]
    assert images.shape == shape
    assert images.dtype == np.dtype(np.float32)
    scale, mean = TURNS[turn]
    assert images.mean() == pytest.approx(mean, abs=1e-5)
    assert images.std() == pytest.approx(scale, rel=1e-3)
    for axis in range(2, len(shape)):
        assert likeness(noise, axis) < 0.1 < 0.3 < likeness(images, axis)


@pytest.mark.parametrize(("shape", "axes"), [((8, 28, 28), (1, 2)), ((4, 32, 32, 3), (1, 2))])
def test_bytes_stay_bytes_and_turn_light_and_dark(
    rng: np.random.Generator, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    noise = rng.integers(0, 255, shape, endpoint=True).astype(np.uint8)
    images = [natural({"x": noise}, turn)["x"] for turn in range(3)]
    assert {image.dtype for image in images} == {np.dtype(np.uint8)}
    assert all(likeness(image, axis) > 0.5 for image in images for axis in axes)
    middle, light, dark = (float(image.mean()) for image in images)
    assert dark < 0.7 * middle < middle < 0.8 * light


def test_what_is_no_image_stays(rng: np.random.Generator) -> None:
    feeds = {
        "tokens": rng.integers(0, 99, (2, 16)),
        "features": rng.standard_normal((2, 16, 8)),
        "mask": rng.random((2, 1, 16, 16)) < 0.5,
        "labels": rng.integers(0, 255, (64, 2)).astype(np.uint8),
    }
    assert all(natural(feeds, 1)[name] is array for name, array in feeds.items())


def test_constant_images_stay_finite() -> None:
    images = natural({"x": np.ones((1, 1, 8, 8), np.float32)}, 0)["x"]
    assert np.array_equal(images, np.zeros_like(images))
    assert natural({"x": np.ones((1, 1, 1, 1), np.float32)}, 1)["x"].item() == 0.5
