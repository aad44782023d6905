"""Small questions about a graph."""

from __future__ import annotations

import onnx
import onnx.parser

from onnxprune.ir.graph import (
    attributes,
    captured,
    label,
    live_nodes,
    nodes,
    reads,
    replace_nodes,
    subgraphs,
    uses,
)
from tests.texts import proto_of

NESTED = """g (float[2] x, bool c) => (float[2] y) {
    a = Relu(x)  b = Neg(x)  dead = Abs(a)
    y = If<then_branch = t () => (float[2] p) { p = Add(a, w) },
           else_branch = e () => (float[2] q) { i = Mul(b, b)  q = Identity(i) }>(c)
}"""


def nested() -> onnx.GraphProto:
    return proto_of(NESTED, {"w": (2,)}).graph


def test_bodies_capture_what_they_do_not_make() -> None:
    node = nested().node[-1]
    then, otherwise = subgraphs(node)
    assert captured(then) == {"a", "w"}
    assert captured(otherwise) == {"b"}
    assert sorted(reads(node)) == ["a", "b", "c", "w"]


def test_an_output_that_a_body_takes_from_outside_is_captured() -> None:
    node = onnx.parser.parse_node(
        "y = If<then_branch = t () => (float[2] a) { z = Relu(q) }, "
        "else_branch = e () => (float[2] b) { b = Neg(r) }>(c)"
    )
    assert [captured(body) for body in subgraphs(node)] == [{"a", "q"}, {"r"}]


def test_uses_count_captures_and_outputs() -> None:
    count = uses(nested())
    assert (count["a"], count["b"], count["x"], count["y"], count["dead"]) == (2, 1, 2, 1, 0)


def test_dead_nodes() -> None:
    graph = nested()
    live = live_nodes(graph)
    assert [node.output[0] for node in live] == ["a", "b", "y"]
    replace_nodes(graph, live)
    assert len(graph.node) == 3
    assert len(list(subgraphs(graph.node[-1]))) == 2


def test_views() -> None:
    *_, view = nodes(proto_of(NESTED, {"w": (2,)}))
    assert (view.op_type, view.domain, view.inputs, view.outputs) == ("If", "", ("c",), ("y",))
    assert view.captures == ("a", "b", "w")
    assert view.name == "y"
    assert view.attributes == {}


def test_labels_and_attributes() -> None:
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="VALID", pads=[1, 1], group=2)
    assert attributes(node) == {"auto_pad": "VALID", "pads": [1, 1], "group": 2}
    assert label(node) == "y"
    node.name = "first"
    assert label(node) == "first"
    assert label(onnx.helper.make_node("Sink", ["x"], [""])) == "Sink"
