"""What two models differ in beside weights that were made anew."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.verify.exactness import differing
from tests.texts import f32, model_of, replace


@pytest.fixture
def model() -> Model:
    text = "g (float[n,4] x) => (float[n,4] y) { a = MatMul(x, w)  y = Add(a, b) }"
    return model_of(text, {"w": (4, 4), "b": (4,)})


def test_copies_do_not_differ(model: Model) -> None:
    assert differing(model, model, ()) == ""
    assert differing(model, model.copy(), ()) == ""
    assert differing(model, load(model.to_proto()), ()) == ""


def test_the_last_bit_is_a_difference_unless_made_anew(model: Model) -> None:
    other = model.copy()
    replace(other, "w", np.nextafter(model.constants["w"].numpy(), f32(2)))
    assert differing(model, other, ()) == "w"
    assert differing(model, other, {"b"}) == "w"
    assert differing(model, other, {"w"}) == ""


def test_another_shape_or_type_always_is(model: Model) -> None:
    for array in (np.zeros((4, 5), np.float32), np.zeros((4, 4), np.float64)):
        other = model.copy()
        replace(other, "w", array)
        assert differing(model, other, {"w"}) == "w"


def test_a_constant_more_always_is(model: Model) -> None:
    other = model.copy()
    replace(other, "v", f32([1]))
    assert differing(model, other, {"v"}) == "v"
    assert differing(other, model, {"v"}) == "v"


def test_another_graph_is_told_by_its_first_node(model: Model) -> None:
    other = load(model.to_proto())
    other.proto.graph.node[1].op_type = "Sub"
    assert differing(model, other, ()) == "y"
    del other.proto.graph.node[1]
    assert differing(model, other, ()) == "the graph"
