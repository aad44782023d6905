"""Conditions on sizes: which hold at any size, which only at those that were tried."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.ir.canonical import Canonical, canonicalise
from onnxprune.ir.graph import subgraphs
from onnxprune.verify.sessions import session_of
from tests.texts import Weight, f32, model_of, node_of, op_types

NUMBERS: dict[str, Weight] = {
    "w": (6, 3),
    "v": (6, 3),
    "i0": np.array(0),
    "i1": np.array(1),
    "one": np.array(1),
    "six": np.array(6),
    "two": np.array(2),
    "many": np.array(100),
}


def switch(condition: str) -> str:
    return f"""g (float[n,6] x) => (float[n,3] y) {{
        s = Shape(x)  n = Gather(s, i0)  d = Gather(s, i1)
        {condition}
        y = If<then_branch = t () => (float[n,3] p) {{ p = MatMul(x, w) }},
               else_branch = e () => (float[n,3] q) {{ q = MatMul(x, v) }}>(k)
    }}"""


def canonical_of(condition: str) -> Canonical:
    return canonicalise(model_of(switch(condition), NUMBERS))


@pytest.mark.parametrize(
    ("condition", "weight"),
    [
        ("k = Equal(d, six)", "w"),
        ("k = Less(six, d)", "v"),
        ("r = Size(s)  k = Equal(r, two)", "w"),
    ],
)
def test_conditions_on_static_sizes_are_decided(condition: str, weight: str) -> None:
    (node,) = canonical_of(condition).model.proto.graph.node
    assert list(node.input) == ["x", weight]


@pytest.mark.parametrize(
    "condition",
    [
        "k = Equal(n, one)",
        "k = Less(n, many)",
        "a = Equal(n, one)  b = Equal(d, six)  k = And(a, b)",
        "m = Min(n, one)  k = Cast<to=9>(m)",
        "z = Sub(n, n)  b = Cast<to=9>(z)  k = Not(b)",
    ],
)
def test_conditions_on_dynamic_sizes_stay(condition: str) -> None:
    """They come out the same at both sizes that are tried."""
    canonical = canonical_of(condition)
    assert "If" in op_types(canonical.model)
    x = f32(np.random.default_rng(0).standard_normal((1, 6)))
    original = model_of(switch(condition), NUMBERS)
    with session_of(original) as first, session_of(canonical.model) as second:
        for batch in (1, 2, 200):
            feed = {"x": np.repeat(x, batch, 0)}
            assert np.array_equal(first.run(feed)["y"], second.run(feed)["y"])


def test_the_user_decides_conditions_on_sizes() -> None:
    model = model_of(switch("k = Equal(n, one)"), NUMBERS)
    for batch, weight in ((1, "w"), (4, "v")):
        canonical = canonicalise(model, {"x": (batch, 6)}).model
        assert [list(node.input) for node in canonical.proto.graph.node] == [["x", weight]]


RANKS = """g (float[n,6,t] x) => (float[n,3] y) {
    s = Shape(x)  f = Gather(s, two)  single = Equal(f, one)
    h = If<then_branch = t () => (float[a,b] p) { p = Squeeze(x, axis) },
           else_branch = e () => (float[a,b,c] q) { q = Identity(x) }>(single)
    r = Shape(h)  rank = Size(r)  flat = Equal(rank, two)
    z = If<then_branch = t2 () => (float[a,b] p2) { p2 = Identity(h) },
           else_branch = e2 () => (float[a,b] q2) { q2 = ReduceMax<axes=[2], keepdims=0>(h) }>(flat)
    y = MatMul(z, w)
}"""


def test_ranks_that_follow_from_a_condition_are_as_uncertain() -> None:
    model = model_of(RANKS, {**NUMBERS, "axis": np.array([2])})
    assert op_types(canonicalise(model).model).count("If") == 2
    fixed = canonicalise(model, {"x": (1, 6, 1)}).model
    assert "If" not in op_types(fixed)


BY_SIZE = """g (float[n,t] x, bool c) => (float[n,3] y) {
    s = Shape(x)  m = Gather(s, i1)  whole = Equal(m, k8)  half = Equal(m, k4)
    y = If<
        then_branch = t () => (float[n,3] p) {
            b = MatMul(x, w8)
            p = If<then_branch = t2 () => (float[n,3] p2) { p2 = Relu(b) },
                   else_branch = e2 () => (float[n,3] q2) { q2 = Neg(b) }>(whole)
        },
        else_branch = e () => (float[n,3] q) {
            f = MatMul(x, w4)
            q = If<then_branch = t3 () => (float[n,3] p3) { p3 = Relu(f) },
                   else_branch = e3 () => (float[n,3] q3) { q3 = Neg(f) }>(half)
        }
    >(c)
}"""


def test_sizes_that_do_not_fit_a_branch_decide_nothing_in_it() -> None:
    """One branch takes 8 numbers, the other 4: at 8 the second makes no sense."""
    model = model_of(
        BY_SIZE,
        {
            "w8": (8, 3), "w4": (4, 3),
            "i1": np.array(1), "k8": np.array(8), "k4": np.array(4),
        },
    )  # fmt: skip
    canonical = canonicalise(model, {"x": (1, 8)}).model
    then, otherwise = subgraphs(node_of(canonical, "y"))
    assert [node.op_type for node in then.node] == ["MatMul", "Relu"]
    assert [node.op_type for node in otherwise.node] == ["MatMul", "If"]
    rng = np.random.default_rng(0)
    with session_of(model) as first, session_of(canonical) as second:
        for size, condition in ((8, True), (4, False)):
            feed = {"x": f32(rng.standard_normal((1, size))), "c": np.array(condition)}
            assert np.array_equal(first.run(feed)["y"], second.run(feed)["y"])
