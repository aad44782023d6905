"""Structural edits keep what graphsurgeon would drop."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

import onnxprune as op
from onnxprune.ir.surgeon import operate
from tests.texts import op_types, proto_of


def rich() -> op.Model:
    header = (
        '<ir_version: 8, opset_import: ["": 17], producer_name: "me", doc_string: "about", '
        'metadata_props: ["names": "cat,dog"]>'
    )
    text = """g (float[2,3] x, bool c) => (float[2,3] y) {
        a = Relu(x)  b = Add(a, w)  d = Neg(b)
        y = If<then_branch = t () => (float[2,3] p) { p = Add(b, w) },
               else_branch = e () => (float[2,3] q) { q = Identity(b) }>(c)
    }"""
    proto = proto_of(header + text, {"w": (2, 3), "unused": (4,)})
    node = proto.graph.node[1]
    node.name, node.doc_string = "sum", "adds"
    node.metadata_props.add(key="from", value="layer 3")
    info = onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [2, 3])
    proto.graph.value_info.append(info)
    proto.graph.doc_string = "a graph"
    return op.load(proto)


def test_nothing_edited_nothing_lost_but_dead_nodes() -> None:
    model = rich()
    same = operate(model, lambda graph: None)
    assert op_types(same) == ["Relu", "Add", "If"]
    expected, found = model.to_proto(), same.to_proto()
    del expected.graph.node[2]
    assert found == expected


def test_weights_are_seen_as_variables_and_new_constants_become_initializers() -> None:
    def edit(graph: Any) -> None:
        node = next(node for node in graph.nodes if node.op == "Add")
        assert not isinstance(node.inputs[1], gs.Constant)
        node.inputs[1] = gs.Constant("two", np.full((1, 3), 2, np.float32))

    model = rich()
    edited = operate(model, edit)
    assert list(edited.constants) == ["w", "unused", "two"]  # the body of If still reads w
    node = edited.proto.graph.node[1]
    assert (node.name, node.doc_string, list(node.input)) == ("sum", "adds", ["a", "two"])
    assert node.metadata_props[0].value == "layer 3"
    assert list(model.constants) == ["w", "unused"]
