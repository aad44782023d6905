"""Bodies of control flow: names of their own, results that are computed, branches in the open."""

from __future__ import annotations

import numpy as np
import onnx

from onnxprune.ir.bodies import has_bodies, inline_branches, separate, take_initializers
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.graph import all_graphs, all_nodes, subgraphs
from onnxprune.ir.load import load
from onnxprune.verify.equivalence import check_outputs
from tests.texts import f32, model_of, op_types, proto_of

TWINS = """g (float[2] x, bool c) => (float[2] y, float[2] z) {
    a = Relu(x)
    y = If<then_branch = t () => (float[2] p) { b = Neg(a)  p = Abs(b) },
           else_branch = e () => (float[2] p) { b = Exp(a)  p = Sin(b) }>(c)
    b = Cos(y)
    z = Neg(b)
}"""


def names(graph: onnx.GraphProto) -> list[str]:
    return [name for node, _ in all_nodes(graph) for name in node.output]


def test_siblings_and_outer_values_of_one_name_are_told_apart() -> None:
    graph = proto_of(TWINS, {}).graph
    separate(graph)
    made = names(graph)
    assert len(set(made)) == len(made)
    assert {"a", "b", "p", "y", "z"} <= set(made)
    then, otherwise = subgraphs(graph.node[1])
    assert [*then.node[1].input, *then.node[1].output] == ["b::y.then_branch", "p"]
    assert list(otherwise.node[1].input) == ["b::y.else_branch"]
    assert otherwise.output[0].name == "p::y.else_branch"
    assert list(then.node[0].input) == ["a"]


def test_a_name_that_a_nested_body_gives_anew_is_its_own() -> None:
    graph = proto_of(
        """g (float[2] x, bool c, bool d) => (float[2] y) {
            y = If<
                then_branch = t () => (float[2] p) {
                    v = Neg(x)
                    p = If<then_branch = u () => (float[2] q) { q = Abs(v) },
                           else_branch = w () => (float[2] q) { v = Sin(x)  q = Cos(v) }>(d)
                },
                else_branch = e () => (float[2] r) { v = Exp(x)  r = Neg(v) }
            >(c)
        }""",
        {},
    ).graph
    separate(graph)
    reads = {node.op_type: list(node.input) for node, _ in all_nodes(graph)}
    assert (reads["Abs"], reads["Cos"]) == (["v"], ["v::p.else_branch"])
    assert len(set(names(graph))) == len(names(graph))


def test_results_are_computed_where_they_are_results() -> None:
    graph = proto_of(
        """g (float[2] x, bool c) => (float[2] y, float[2] z, float[2] u) {
            y, z, u = If<
                then_branch = t () => (float[2] x, float[2] p, float[2] p) { p = Neg(x) },
                else_branch = e () => (float[2] k, float[2] w, float[2] r)
                    <float[2] w = {1., 2.}> { k = Constant<value = float[2] {3., 4.}>() r = Abs(x) }
            >(c)
        }""",
        {},
    ).graph
    separate(graph)
    then, otherwise = subgraphs(graph.node[0])
    for body in (then, otherwise):
        makers = {node.output[0]: node.op_type for node in body.node}
        results = [info.name for info in body.output]
        assert len(set(results)) == 3
        assert [makers[name] for name in results].count("Identity") == 2
    taken = take_initializers(graph)
    assert [tensor.name for tensor in taken] == ["w"]
    assert not any(part.initializer for part in all_graphs(graph))


def test_outputs_that_nobody_asks_for_get_names() -> None:
    graph = proto_of(
        """g (float[2] x, int64 n) => (float[2] y) {
            , y = Loop<body = b (int64 i, bool k, float[2] s, float[2] t)
                => (bool k2, float[2] s2, float[2] t2) { k2 = Identity(k) s2 = Neg(s) t2 = Abs(t) }
            >(n, , x, x)
        }""",
        {},
    ).graph
    separate(graph)
    assert all(graph.node[0].output)
    assert graph.node[0].output[1] == "y"


def test_decided_branches_come_into_the_graph_around_them() -> None:
    proto = proto_of(TWINS.replace("Neg(a)", "If<then_branch = u () => (float[2] q) "
        "{ q = Tan(a) }, else_branch = v () => (float[2] q) { q = Cosh(a) }>(d)"
    ).replace("bool c)", "bool c, bool d)"), {})  # fmt: skip
    separate(proto.graph)
    inline_branches(proto.graph, {"c": True, "d": False})
    assert [node.op_type for node in proto.graph.node] == ["Relu", "Cosh", "Abs", "Cos", "Neg"]
    assert not has_bodies(proto.graph)
    assert proto.graph.node[2].output[0] == "y"


def test_constants_in_bodies_become_initializers_with_provenance() -> None:
    """Branches that use one name for their weights have two weights."""
    text = """g (float[2,3] x, bool c) => (float[2,5] y) {
        y = If<then_branch = t () => (float[2,5] p) <float[3,5] w> { p = MatMul(x, w) },
               else_branch = e () => (float[2,5] p) {
                   w = Constant<value = float[3,5] {0.}>()  q = MatMul(x, w)
                   one = Constant<value = float[1] {1.}>()  p = Add(q, one)
               }>(c)
    }"""
    proto = proto_of(text, {})
    then, otherwise = subgraphs(proto.graph.node[0])
    rng = np.random.default_rng(0)
    mine, theirs = (f32(rng.standard_normal((3, 5))) for _ in "ab")
    del then.value_info[:]
    then.initializer.append(onnx.numpy_helper.from_array(mine, "w"))
    otherwise.node[0].attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(theirs))
    model = load(proto)
    assert (model.parameters, model.node_count) == (31, 6)
    canonical = canonicalise(model)
    assert canonical.provenance == {
        "w": "w", "w::y.else_branch": "w::y.else_branch", "one": "one",
    }  # fmt: skip
    constants = canonical.model.constants
    assert np.array_equal(constants["w"].numpy(), mine)
    assert np.array_equal(constants["w::y.else_branch"].numpy(), theirs)
    assert canonical.model.parameters == 31
    feeds = [
        {"x": f32(rng.standard_normal((2, 3))), "c": np.array(c)}
        for c in (True, True, False, False)
    ]
    assert check_outputs(model, canonical.model, feeds).passed


def test_shape_arithmetic_inside_bodies_is_folded() -> None:
    model = model_of(
        """g (float[n,6,4] x, bool c) => (float[n,24] y) {
            y = If<then_branch = t () => (float[n,24] p) {
                       s = Shape(x)  b = Gather(s, zero)  t = Concat<axis=0>(b, rest)
                       p = Reshape(x, t)
                   },
                   else_branch = e () => (float[n,24] q) {
                       r = Relu(x)  dead = Shape(r)  q = Flatten(r)
                   }>(c)
        }""",
        {"zero": np.array([0]), "rest": np.array([-1])},
    )
    canonical = canonicalise(model)
    found = [node.op_type for node, _ in all_nodes(canonical.model.proto.graph)]
    assert found == ["Reshape", "Relu", "Flatten", "If"]
    assert canonical.model.constants["p::shape"].numpy().tolist() == [0, 24]


def test_known_conditions_leave_one_branch() -> None:
    model = model_of(
        """g (float[n,6] x) => (float[n,3] y) {
            s = Shape(x)  d = Gather(s, one)  k = Equal(d, six)
            y = If<then_branch = t () => (float[n,3] p) { p = MatMul(x, w) },
                   else_branch = e () => (float[n,3] q) { q = MatMul(x, v) }>(k)
        }""",
        {"w": (6, 3), "v": (6, 3), "one": np.array(1), "six": np.array(6)},
    )
    canonical = canonicalise(model)
    assert op_types(canonical.model) == ["MatMul"]
    assert canonical.model.constants.keys() == {"w"}
