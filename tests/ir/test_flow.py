"""Shapes and values through the bodies of If, Loop and Scan."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.facts import facts_of
from tests.texts import Weight


def branches(condition: str, then: str, otherwise: str) -> str:
    return f"""g (float[2,6] x, bool c) => (float[m,n] y) {{
        s = Shape(x)  k = Size(s)  yes = Equal(k, two)  no = Equal(k, three)
        y = If<then_branch = t () => (float[m,n] p) {{ {then} }},
               else_branch = e () => (float[m,n] q) {{ {otherwise} }}>({condition})
    }}"""


NUMBERS: dict[str, Weight] = {
    "w": (6, 4),
    "v": (6, 4),
    "u": (6, 5),
    "two": np.array(2),
    "three": np.array(3),
}


@pytest.mark.parametrize(
    ("condition", "other", "shape"),
    [("c", "v", (2, 4)), ("c", "u", None), ("yes", "u", (2, 4)), ("no", "u", (2, 5))],
)
def test_branches_agree_or_one_is_taken(
    condition: str, other: str, shape: tuple[int, ...] | None
) -> None:
    facts = facts_of(branches(condition, "p = MatMul(x, w)", f"q = MatMul(x, {other})"), NUMBERS)
    assert facts.shapes.get("y") == shape
    assert facts.elem_types["y"] == 1
    assert facts.shapes["p"] == (2, 4)


def test_values_that_both_branches_make() -> None:
    text = """g (float[2,6] x, bool c) => (int64[2] y, int64[2] z) {
        y = If<then_branch = t () => (int64[2] p) { p = Shape(x) },
               else_branch = e () => (int64[2] q) { r = Relu(x)  q = Shape(r) }>(c)
        z = If<then_branch = t () => (int64[2] p2) { p2 = Shape(x) },
               else_branch = e () => (int64[2] q2) { m = MatMul(x, w)  q2 = Shape(m) }>(c)
    }"""
    facts = facts_of(text, NUMBERS)
    assert facts.values["y"].tolist() == [2, 6]
    assert "z" not in facts.values
    assert facts.shapes["z"] == (2,)


def loop(inputs: str, condition: str = "Identity(k)", step: str = "s2 = Tanh(s)") -> str:
    return f"""g (float[2,6] x, bool c, int64 n) => (float[a,b] y, float[t,a,b] z) {{
        y, z = Loop<body = b (int64 i, bool k, float[a,b] s) => (bool k2, float[a,b] s2, float o) {{
            k2 = {condition}  {step}  o = MatMul(s, w)
        }}>({inputs}, x)
    }}"""


@pytest.mark.parametrize(
    ("inputs", "condition", "trips"),
    [
        ("three, ", "Identity(k)", 3),
        ("three, yes", "Identity(k)", 3),
        ("three, yes", "Not(k)", None),
        ("three, c", "Identity(k)", None),
        ("n, ", "Identity(k)", None),
        (", yes", "Less(i, three)", None),
    ],
)
def test_loops_stack_what_they_make(inputs: str, condition: str, trips: int | None) -> None:
    facts = facts_of(loop(inputs, condition), {**NUMBERS, "yes": np.array(True)})
    assert facts.shapes["s"] == facts.shapes["s2"] == facts.shapes["y"] == (2, 6)
    assert facts.shapes["o"] == (2, 4)
    assert facts.shapes["z"] == (5 if trips is None else trips, 2, 4)
    assert facts.trips.get("y") == trips
    assert facts.guessed == (trips is None)
    assert facts.shapes["i"] == facts.shapes["k"] == ()


def test_a_state_whose_shape_changes_has_none() -> None:
    facts = facts_of(loop("three, ", step="s2 = Concat<axis=0>(s, x)"), NUMBERS)
    assert not {"s", "s2", "o", "y", "z"} & facts.shapes.keys()
    assert facts.elem_types["s"] == facts.elem_types["y"] == 1


def test_what_a_moving_state_makes_of_others_is_seen() -> None:
    """One state grows, and another takes over its shape an iteration later."""
    facts = facts_of(
        """g (float[2,6] x) => (float[a,6] y, float[c,6] z, float[2,6] u) {
            y, z, u = Loop<body = b (int64 i, bool k, float[a,6] s, float[c,6] r, float[2,6] q)
                => (bool k2, float[a,6] s2, float[c,6] r2, float[2,6] q2) {
                k2 = Identity(k)  s2 = Concat<axis=0>(s, x)  r2 = Neg(s)  q2 = Abs(q)
            }>(three, , x, x, x)
        }""",
        NUMBERS,
    )
    assert {"y", "z", "u"} & facts.shapes.keys() == {"u"}


def test_the_elements_of_a_state_are_not_known() -> None:
    facts = facts_of(
        """g (float[2] x) => (int64 y) {
            y = Loop<body = b (int64 i, bool k, int64 s) => (bool k2, int64 s2) {
                k2 = Identity(k)  s2 = Add(s, three)
            }>(three, , two)
        }""",
        NUMBERS,
    )
    assert not {"s", "s2", "y", "i"} & facts.values.keys()
    assert facts.values["k"].all()


SCAN = """g (float[2,4,6] x, float[2,5] h) => (float[2,5] y, float[2,5,4] z) {
    y, z = Scan<num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[-1],
        body = b (float[2,5] s, float[2,6] t) => (float[2,5] s2, float[2,5] o) {
            a = MatMul(t, u)  s2 = Add(a, s)  o = Neg(s2)
        }>(h, x)
}"""


def test_scans_cut_and_stack_along_any_axis() -> None:
    facts = facts_of(SCAN, NUMBERS)
    assert facts.shapes["t"] == (2, 6)
    assert facts.shapes["y"] == (2, 5)
    assert facts.shapes["z"] == (2, 5, 4)
    assert facts.trips == {"y": 4}


def test_the_first_scan_is_not_understood() -> None:
    facts = facts_of(SCAN, NUMBERS, opset=8)
    assert not {"t", "z"} & facts.shapes.keys()


def test_sequences_pass_through_loops() -> None:
    facts = facts_of(
        """g (float[2,6] x) => (float[3,2,6] y) {
            empty = SequenceEmpty()
            all, last = Loop<body = b (int64 i, bool k, seq(float) s, float[2,6] r)
                => (bool k2, seq(float) s2, float[2,6] r2) {
                k2 = Identity(k)  s2 = SequenceInsert(s, r)  r2 = Neg(r)
            }>(three, , empty, x)
            y = ConcatFromSequence<axis=0, new_axis=1>(all)
        }""",
        NUMBERS,
    )
    assert {"empty", "s", "s2", "all"} <= facts.containers
    assert facts.shapes["last"] == (2, 6)
