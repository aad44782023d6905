"""What other rooms make of nodes inside bodies: graph, gains, merged views, empty branches."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import onnxprune as op
from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.dependency import dependency_graph
from onnxprune.coupling.explain import explain, render
from onnxprune.errors import ModelError
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.model import Model
from onnxprune.passes.remove.slicing import remove
from onnxprune.passes.score.gains import find_gains
from tests.texts import Weight, model_of

CHOICE = """g (float[2,6] x, bool c) => (float[2,5] y) {
    h = MatMul(x, w0)
    r = If<then_branch = t () => (float[2,12] p) { a = MatMul(h, w1)  p = Relu(a) },
           else_branch = e () => (float[2,12] q) { k = MatMul(h, w2)  q = Tanh(k) }>(c)
    y = MatMul(r, w3)
}"""
WEIGHTS: dict[str, Weight] = {"w0": (6, 8), "w1": (8, 12), "w2": (8, 12), "w3": (12, 5)}


def choice() -> Model:
    return model_of(CHOICE, WEIGHTS)


def removal(model: Model) -> op.Result:
    return op.Pipeline("fold-constants,remove-channels{ratio=0.5,round_to=1}").run(model)


def test_bodies_in_the_dependency_graph() -> None:
    first = removal(choice()).removals[0]
    graph: nx.MultiDiGraph[str] = dependency_graph(first.analysis, first.groups)
    edges = {
        (graph.nodes[a]["name"], graph.nodes[b]["name"], data["kind"])
        for a, b, data in graph.edges(data=True)
        if data["kind"] in ("body", "capture")
    }
    assert edges == {
        ("p", "r", "body"), ("q", "r", "body"),
        ("h", "r", "capture"), ("w1", "r", "capture"), ("w2", "r", "capture"),
    }  # fmt: skip


def test_what_loops_hand_to_their_bodies_in_the_dependency_graph() -> None:
    model = model_of(
        """g (float[2,6] x, int64 n) => (float[2,6] y) {
            y = Loop<body = b (int64 i, bool k, float[2,6] s) => (bool k2, float[2,6] s2) {
                k2 = Identity(k)  s2 = MatMul(s, w)
            }>(n, , x)
        }""",
        {"w": (6, 6)},
    )
    first = removal(model).removals[0]
    graph: nx.MultiDiGraph[str] = dependency_graph(first.analysis, first.groups)
    loop = next(key for key, data in graph.nodes(data=True) if data.get("op_type") == "Loop")
    assert {data["name"] for _, key, data in graph.out_edges(loop, data=True) for data in (
        graph.nodes[key],)} == {"y", "i", "k", "s"}  # fmt: skip


def test_explanations_go_through_bodies() -> None:
    first = removal(choice()).removals[0]
    lines = "\n".join(render(explain(first.analysis, first.groups, "w2")))
    assert "w1 axis 1 (makes it)" in lines
    assert "If r" in lines
    assert explain(first.analysis, first.groups, "q").axes


def test_gains_look_at_results_of_bodies() -> None:
    """What is a result of a branch is read there, too: a gain behind it is not all that follows."""
    text = """g (float[2,3,4,4] x, bool c) => (float[2,8,4,4] r, float[2,8,4,4] u) {
        r, u = If<
            then_branch = t () => (float[2,8,4,4] RESULT, float[2,8,4,4] b) {
                a = Conv(x, w)  e = Relu(x)  f = Conv(e, w2)
                b = BatchNormalization(a, s, o, o2, s2)
            },
            else_branch = e () => (float[2,8,4,4] d, float[2,8,4,4] k) {
                d = Conv(x, w3)  k = Relu(d)
            }
        >(c)
    }"""
    vectors: dict[str, Weight] = dict.fromkeys(("s", "o", "o2"), (8,))
    weights: dict[str, Weight] = dict.fromkeys(("w", "w2", "w3"), (8, 3, 1, 1))
    for result, found in (("a", set[str]()), ("f", {"w"})):
        model = model_of(
            text.replace("RESULT", result), {**weights, **vectors, "s2": np.ones(8, np.float32)}
        )
        gains = find_gains(analyse(canonicalise(model)))
        assert {weight for weight, _ in gains.factors} == found


def test_views_are_merged_inside_bodies() -> None:
    """A bias that two branches share has two views on the way, and is one again."""
    text = CHOICE.replace("p = Relu(a)", "p = Add(a, b)").replace("q = Tanh(k)", "q = Sub(k, b)")
    model = model_of(text, {**WEIGHTS, "b": (12,)})
    result = op.prune(model, 0.5, round_to=1)
    assert [name for name in result.model.constants if name.startswith("b")] == ["b"]
    assert {"b", "b::2"} <= result.plan.initializers.keys()
    assert result.verify().passed


def test_branches_cannot_lose_everything() -> None:
    result = removal(choice())
    first = result.removals[0]
    leaf = first.analysis.values["h"].dims[1].root
    keep = first.keeps[leaf]
    keep.mask[:] = False
    nothing = remove(first.analysis, {leaf: keep})
    with pytest.raises(ModelError, match="MatMul cannot do without the channels"):
        op.Pipeline("fold-empty").run(nothing)
