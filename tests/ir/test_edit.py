"""Edits of a model keep what they do not touch."""

from __future__ import annotations

import numpy as np

from onnxprune.ir.edit import NodeEdit, edited, with_constants
from onnxprune.ir.merge import merge_views
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor
from tests.texts import f32, model_of, node_of


def reshapes() -> Model:
    return model_of(
        """g (float[2,12] x) => (float[2,3,4] y, float[2,3,4] z) {
            a = Relu(x)  y = Reshape(a, shape)  z = Reshape(x, shape)
        }""",
        {"shape": np.array([2, 3, 4])},
    )


def test_a_constant_that_others_read_is_not_changed_under_them() -> None:
    model = reshapes()
    result = edited(model, {}, {1: NodeEdit(inputs={1: np.array([2, 2, 6])})}, {}, {})
    assert node_of(result, "z").input[1] == "shape"
    mine = node_of(result, "y").input[1]
    assert mine != "shape"
    assert result.constants[mine].numpy().tolist() == [2, 2, 6]
    assert result.constants["shape"].numpy().tolist() == [2, 3, 4]
    assert [stub.name for stub in result.proto.graph.initializer] == list(result.constants)
    assert node_of(model, "y").input[1] == "shape"


def test_a_constant_of_one_reader_is_changed_in_place_and_keeps_its_type() -> None:
    model = model_of(
        "g (float[2,12] x) => (float[2,3,4] y) { y = Reshape(x, shape) }",
        {"shape": np.array([2, 3, 4])},
    )
    result = edited(model, {}, {0: NodeEdit(inputs={1: np.array([2, 2, 6])})}, {}, {})
    assert result.constants.keys() == {"shape"}
    assert result.constants["shape"].dtype == np.int64
    assert model.constants["shape"].numpy().tolist() == [2, 3, 4]


def test_attributes_and_declared_shapes_are_rewritten() -> None:
    model = model_of(
        "g (float[2,4,3,3] x) => (float[2,6,3,3] y) { a = Conv<group=2>(x, w)  y = Relu(a) }",
        {"w": (6, 2, 1, 1)},
    )
    model.proto.graph.value_info.add().CopyFrom(model.proto.graph.output[0])
    model.proto.graph.value_info[0].name = "a"
    fresh = ArrayTensor.of(np.zeros((3, 2, 1, 1), np.float32))
    edit = NodeEdit({"group": 1, "scale": 0.5})
    result = edited(model, {"w": fresh}, {0: edit}, {"a": {1: 3}, "unknown": {0: 1}}, {})
    attributes = [(a.name, a.i, a.f) for a in node_of(result, "a").attribute]
    assert attributes == [("group", 1, 0.0), ("scale", 0, 0.5)]
    dims = result.proto.graph.value_info[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [2, 3, 3, 3]
    assert list(result.proto.graph.initializer[0].dims) == [3, 2, 1, 1]


def test_doc_strings_of_replaced_constants_stay() -> None:
    model = reshapes()
    model.proto.graph.initializer[0].doc_string = "about"
    with_constants(model, {"shape": ArrayTensor.of(np.array([2, 4, 3]))})
    assert model.proto.graph.initializer[0].doc_string == "about"


def test_views_that_are_still_alike_are_merged() -> None:
    model = model_of(
        "g (float[2,3] x) => (float[2,3] y) { a = Add(x, v) b = Add(a, v2) y = Add(b, v3) }",
        {"v": f32([1, 2, 3]), "v2": f32([1, 2, 3]), "v3": f32([1, 2, 4])},
    )
    family: dict[str, str] = {"v": "v", "v2": "v", "v3": "v"}
    merged = merge_views(model, family)
    assert list(merged.constants) == ["v", "v3"]
    assert [node.input[1] for node in merged.proto.graph.node] == ["v", "v", "v3"]
    assert merge_views(model, {name: name for name in family}) is model
    assert list(model.constants) == ["v", "v2", "v3"]
