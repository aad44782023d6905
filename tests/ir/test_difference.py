"""Two models, compared as files."""

from __future__ import annotations

import numpy as np
import onnx

import onnxprune as op
from onnxprune.ir.difference import difference, operators_of
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from tests.texts import model_of

TEXT = """g (float[N,3] x) => (float[N,4] y) {
    h = MatMul(x, w1) a = Add(h, b) r = Relu(a) y = MatMul(r, w2)
}"""
WEIGHTS = {"w1": (3, 8), "b": (8,), "w2": (8, 4)}


def described() -> Model:
    proto = model_of(TEXT, WEIGHTS).to_proto()
    proto.producer_name = "trainer"
    proto.metadata_props.add(key="classes", value="4")
    proto.metadata_props.add(key="licence", value="mine")
    return load(proto)


def test_a_model_does_not_differ_from_itself() -> None:
    found = difference(described(), described())
    assert (found.operators, found.ports, found.versions, found.lost) == ({}, {}, {}, [])
    assert found.weights == {"same": 3}


def test_what_pruning_does() -> None:
    model = described()
    found = difference(model, op.prune(model, 0.5, round_to=1).model)
    assert found.weights == {"resized": 3}
    assert (found.operators, found.ports, found.lost) == ({}, {}, [])


def test_what_other_tools_do() -> None:
    model = described()
    other = model.to_proto()
    other.graph.node[2].op_type = "Sigmoid"
    other.opset_import[0].version = 18
    other.producer_name = "another"
    del other.metadata_props[1]
    other.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    other.graph.initializer[0].raw_data = np.ones((3, 8), np.float32).tobytes()
    other.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1), "new"))
    found = difference(model, load(other))
    assert found.operators == {"Relu": (1, 0), "Sigmoid": (0, 1)}
    assert found.versions == {"": (17, 18)}
    assert found.ports == {"output y": ("float[N,4]", "float[1,4]")}
    assert found.lost == ["producer_name", "metadata licence"]
    assert found.weights == {"changed": 1, "same": 2, "added": 1}


def test_the_order_of_outputs_counts() -> None:
    model = model_of("g (float[2] x) => (float[2] y, float[2] z) { y = Neg(x) z = Abs(x) }", {})
    other = model.to_proto()
    first = onnx.ValueInfoProto()
    first.CopyFrom(other.graph.output[0])
    del other.graph.output[0]
    other.graph.output.append(first)
    assert list(difference(model, load(other)).ports) == ["order of outputs"]


def test_operators_of_bodies_and_other_domains_count() -> None:
    text = """<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>
    g (float[2,4] x, bool c) => (float[2,4] y) {
        h = com.microsoft.FastGelu(x)
        y = If<then_branch = t () => (float[2,4] p) { p = Neg(h) },
               else_branch = e () => (float[2,4] q) { q = Abs(h) }>(c)
    }"""
    assert operators_of(model_of(text, {})) == {"com.microsoft.FastGelu", "If", "Neg", "Abs"}
