"""Small questions about a graph."""

from __future__ import annotations

import onnx
import onnx.helper
import onnx.parser
import pytest

from onnxprune.ir.graph import (
    all_graphs,
    all_nodes,
    attributes,
    captured,
    label,
    live_nodes,
    nodes,
    reads,
    rename,
    replace_nodes,
    subgraphs,
    type_text,
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
    assert (count["a"], count["b"], count["x"], count["y"], count["dead"]) == (2, 2, 2, 1, 0)
    assert (count["w"], count["p"], count["i"]) == (1, 1, 1)


def test_nodes_that_nothing_reads_are_dead() -> None:
    graph = nested()
    live = live_nodes(graph)
    assert [node.output[0] for node in live] == ["a", "b", "y"]
    replace_nodes(graph, live)
    assert len(graph.node) == 3
    assert len(list(subgraphs(graph.node[-1]))) == 2


def test_nodes_of_bodies_come_before_their_node() -> None:
    graph = nested()
    found = [(node.op_type, part.name) for node, part in all_nodes(graph)]
    assert found == [
        ("Relu", "g"), ("Neg", "g"), ("Abs", "g"),
        ("Add", "t"), ("Mul", "e"), ("Identity", "e"),
        ("If", "g"),
    ]  # fmt: skip
    assert [part.name for part in all_graphs(graph)] == ["t", "e", "g"]


def test_renaming_reaches_bodies_and_their_borders() -> None:
    graph = nested()
    rename(graph, {"a": "A", "p": "P", "w": "W", "x": "X"})
    (then, _) = subgraphs(graph.node[-1])
    assert list(then.node[0].input) == ["A", "W"]
    assert then.output[0].name == then.node[0].output[0] == "P"
    assert [graph.input[0].name, graph.initializer[0].name] == ["X", "W"]
    assert graph.output[0].name == "y"


def test_views_tell_where_nodes_stand_and_what_bodies_take() -> None:
    *_, inner, view = nodes(proto_of(NESTED, {"w": (2,)}))
    assert (inner.op_type, inner.within) == ("Identity", "y.else_branch")
    assert [(body.name, body.inputs, body.outputs) for body in view.bodies] == [
        ("y.then_branch", (), ("p",)), ("y.else_branch", (), ("q",)),
    ]  # fmt: skip
    assert view.within == ""
    assert (view.op_type, view.domain, view.inputs, view.outputs) == ("If", "", ("c",), ("y",))
    assert view.captures == ("a", "b", "w")
    assert view.name == "y"
    assert view.attributes == {}


def test_attributes_are_plain_values() -> None:
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="VALID", pads=[1, 1], group=2)
    assert attributes(node) == {"auto_pad": "VALID", "pads": [1, 1], "group": 2}


def test_nodes_without_a_name_are_called_by_their_output() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    assert label(node) == "y"
    node.name = "first"
    assert label(node) == "first"
    assert label(onnx.helper.make_node("Sink", ["x"], [""])) == "Sink"


def test_an_attribute_that_is_no_text_stays_as_it_is() -> None:
    """Providers keep compiled models in attributes."""
    node = onnx.helper.make_node("EPContext", ["x"], ["y"], ep_cache_context=b"\xff\x00", main=b"a")
    assert attributes(node) == {"ep_cache_context": b"\xff\x00", "main": "a"}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (onnx.helper.make_tensor_type_proto(1, ["N", 3, None]), "float[N,3,?]"),
        (onnx.helper.make_tensor_type_proto(7, []), "int64[]"),
        (onnx.helper.make_tensor_type_proto(10, None), "float16"),
        (
            onnx.helper.make_sequence_type_proto(onnx.helper.make_tensor_type_proto(1, [2])),
            "seq(float[2])",
        ),
        (
            onnx.helper.make_optional_type_proto(onnx.helper.make_tensor_type_proto(1, [2])),
            "optional(float[2])",
        ),
        (
            onnx.helper.make_map_type_proto(7, onnx.helper.make_tensor_type_proto(1, [])),
            "map(int64,float[])",
        ),
        (onnx.TypeProto(), "?"),
    ],
)
def test_types_as_people_write_them(kind: onnx.TypeProto, text: str) -> None:
    assert type_text(kind) == text
