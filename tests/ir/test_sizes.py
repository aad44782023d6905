"""Axes that are called dynamic and are not: their size is found by trying."""

from __future__ import annotations

import numpy as np

from onnxprune.ir.sizes import runnable_bindings
from tests.texts import model_of


def test_images_of_one_height_are_found_by_trying() -> None:
    """Of all axes but the height, the second binding has another size."""
    model = model_of(
        """g (float[n,3,h,w] x) => (float[n,4,w] y) {
            c = Conv(x, kernel)  y = Squeeze(c, axis)
        }""",
        {"kernel": (4, 3, 48, 1), "axis": np.array([2])},
    )
    found = runnable_bindings(model)
    assert found is not None
    first, second = (shapes["x"] for shapes in found)
    assert first[1:3] == second[1:3] == (3, 48)
    assert first[0] != second[0]
    assert first[3] != second[3]


def test_sequences_of_one_length_are_found_by_trying() -> None:
    model = model_of("g (float[n,t] x) => (float[n,8] y) { y = MatMul(x, w) }", {"w": (576, 8)})
    found = runnable_bindings(model)
    assert found is not None
    first, second = (shapes["x"] for shapes in found)
    assert first[1] == second[1] == 576
    assert first[0] != second[0]


def test_inputs_of_one_size_are_tried_together() -> None:
    text = "g (float[n,t] x, float[t,m] z) => (float[n,5] y) { a = MatMul(x, z)  y = MatMul(a, w) }"
    found = runnable_bindings(model_of(text, {"w": (16, 5)}))
    assert found is not None
    for shapes in found:
        assert shapes["x"][1] == shapes["z"][0]
        assert shapes["z"][1] == 16
    assert found[0]["x"][1] != found[1]["x"][1]


def test_a_size_that_is_not_tried_is_not_found() -> None:
    model = model_of("g (float[n,t] x) => (float[n,8] y) { y = MatMul(x, w) }", {"w": (577, 8)})
    assert runnable_bindings(model) is None
