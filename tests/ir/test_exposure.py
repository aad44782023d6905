"""Values inside bodies, brought to the surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxprune.ir.exposure import exposable, mark_of
from onnxprune.ir.model import Model
from onnxprune.ir.probe import with_outputs
from onnxprune.ir.shapes import interpret
from onnxprune.verify.sessions import session_of
from tests.texts import Weight, f32, model_of

X = f32([[1, -2, 3]])
NUMBERS: dict[str, Weight] = {"three": np.array(3), "zero": np.array(0), "one": np.array(1)}


def seen(model: Model, names: list[str], **feeds: object) -> dict[str, Any]:
    """The elements of values, as lists."""
    types = interpret(model.proto, {}).elem_types
    probe = with_outputs(model, names, types)
    arrays = {name: np.asarray(value) for name, value in {"x": X, **feeds}.items()}
    with session_of(probe) as session:
        return {name: array.tolist() for name, array in session.run(arrays).items()}


NESTED = """g (float[1,3] x, bool c, bool d) => (float[1,3] y) {
    y = If<
        then_branch = t () => (float[1,3] p) {
            a = Neg(x)
            p = If<then_branch = t2 () => (float[1,3] q) { q = Relu(a) },
                   else_branch = e2 () => (float[1,3] r) { b = Abs(x)  r = Add(a, b) }>(d)
        },
        else_branch = e () => (float[1,3] s) { s = Mul(x, x) }
    >(c)
}"""


def test_values_of_branches_are_empty_where_they_do_not_run() -> None:
    model = model_of(NESTED, {})
    names = ["y", "a", "b", "p", "q", "s"]
    assert exposable(model.proto).keys() > set(names) - {"y"}
    first = seen(model, names, c=True, d=True)
    assert first == {
        "y": [[0, 2, 0]], "a": [[-1, 2, -3]], "p": [[0, 2, 0]], "q": [[0, 2, 0]], "b": [], "s": [],
    }  # fmt: skip
    second = seen(model, names, c=True, d=False)
    assert (second["b"], second["q"], second["a"]) == ([[1, 2, 3]], [], [[-1, 2, -3]])
    third = seen(model, names, c=False, d=False)
    assert (third["a"], third["b"], third["s"]) == ([], [], [[1, 4, 9]])


def test_marks_tell_what_ran() -> None:
    model = model_of(NESTED, {})
    names = [mark_of(f"{body}_branch") for body in ("y.then", "y.else", "p.then", "p.else")]
    assert list(seen(model, names, c=True, d=False).values()) == [True, False, False, True]
    assert list(seen(model, names, c=False, d=False).values()) == [False, True, False, False]


LOOP = """g (float[1,3] x, int64 n) => (float[1,3] y) {
    y = Loop<body = b (int64 i, bool k, float[1,3] s) => (bool k2, float[1,3] s2) {
        k2 = Identity(k)  e = Less(i, one)  a = Abs(s)
        s2 = If<then_branch = t () => (float[1,3] p) { p = Neg(a) },
                else_branch = f () => (float[1,3] q) { q = Add(a, s) }>(e)
    }>(n, , x)
}"""


def test_values_of_loops_are_stacked() -> None:
    model = model_of(LOOP, NUMBERS)
    found = exposable(model.proto)
    assert (found["a"], found["s2"]) == (1, 1)
    assert "p" not in found
    then, otherwise = (mark_of(f"s2.{name}_branch") for name in ("then", "else"))
    values = seen(model, ["a", "y", then, otherwise, mark_of("y.body")], n=2)
    assert values["a"] == [[[1, 2, 3]], [[1, 2, 3]]]
    assert values["y"] == [[0, 0, 0]]
    assert (values[then], values[otherwise]) == ([True, False], [False, True])
    assert values[mark_of("y.body")] == [True, True]


def test_a_loop_that_does_not_run_marks_nothing() -> None:
    values = seen(model_of(LOOP, NUMBERS), ["a", mark_of("y.body")], n=0)
    assert values == {"a": [], mark_of("y.body"): []}


@pytest.mark.parametrize("attributes", ["", ", scan_output_axes=[-1], scan_output_directions=[1]"])
def test_scans_keep_their_own_outputs(attributes: str) -> None:
    model = model_of(
        f"""g (float[1,3] x) => (float[1] y, float[a,b] z) {{
            y, z = Scan<num_scan_inputs=1, scan_input_axes=[1]{attributes},
                body = b (float[1] s, float[1] t) => (float[1] s2, float[1] o) {{
                    a = Neg(t)  s2 = Add(s, a)  o = Identity(s2)
                }}>(start, x)
        }}""",
        {"start": f32([0])},
    )
    values = seen(model, ["a", "y", "z"])
    assert values["a"] == [[-1], [2], [-3]]
    assert values["y"] == [-2]
    assert np.ravel(values["z"]).tolist() == ([-2, 1, -1] if attributes else [-1, 1, -2])


def test_a_loop_in_a_branch() -> None:
    model = model_of(
        """g (float[1,3] x, bool c) => (float[1,3] y) {
            y = If<then_branch = t () => (float[1,3] p) {
                       p = Loop<body = b (int64 i, bool k, float[1,3] s) => (bool k2, float[1,3] s2)
                           { k2 = Identity(k)  a = Neg(s)  s2 = Identity(a) }>(three, , x)
                   },
                   else_branch = e () => (float[1,3] q) { q = Abs(x) }>(c)
        }""",
        NUMBERS,
    )
    assert seen(model, ["a"], c=True)["a"] == [[[-1, 2, -3]], [[1, -2, 3]], [[-1, 2, -3]]]
    assert seen(model, ["a"], c=False)["a"] == []


def test_marks_of_loops_come_out_of_branches_that_must_be_alike() -> None:
    """Before opset 11 both branches of an If have results of one rank."""
    model = model_of(
        """<ir_version: 8, opset_import: ["" : 7]>
        g (float[1,3] x, bool c) => (float[1,3] y) {
            y = If<
                then_branch = t () => (float[1,3] p) {
                    p, q = Loop<body = l (int64 i, bool on, float[1,3] s) =>
                        (bool go, float[1,3] n, float[1,3] k) {
                            go = Identity(on) n = Neg(s) k = Abs(s)
                        }>(three, "", x)
                },
                else_branch = e () => (float[1,3] r) { r = Abs(x) }
            >(c)
        }""",
        {"three": np.array(3)},
    )
    mark = mark_of("p.body")
    assert seen(model, [mark], c=True)[mark] == [True, True, True]
    assert not any(seen(model, [mark], c=False)[mark])
