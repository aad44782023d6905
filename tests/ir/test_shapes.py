"""Shapes and small values under one binding."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxprune.ir.shapes import VALUE_LIMIT, Told, constant_of, interpret
from tests.ir.facts import facts_of
from tests.texts import Weight, f32, proto_of


def test_shapes_flow_through_computed_targets() -> None:
    facts = facts_of(
        """g (float[2,6,5] x) => (float[2,30] y) {
            s = Shape(x)  n = Gather(s, zero)  t = Concat<axis=0>(n, rest)  y = Reshape(x, t)
        }""",
        {"zero": np.array([0]), "rest": np.array([-1])},
    )
    assert facts.values["t"].tolist() == [2, -1]
    assert facts.shapes["y"] == (2, 30)
    assert facts.elem_types["t"] == onnx.TensorProto.INT64


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [("", [2, 6, 5]), ("<start=1>", [6, 5]), ("<start=-2, end=-1>", [6]), ("<end=1>", [2])],
)
def test_slices_of_shapes(attributes: str, expected: list[int]) -> None:
    facts = facts_of(f"g (float[2,6,5] x) => (int64[r] y) {{ y = Shape{attributes}(x) }}")
    assert facts.values["y"].tolist() == expected
    assert facts.shapes["y"] == (len(expected),)


def test_spectra_are_onesided_unless_said_otherwise() -> None:
    text = "g (float[1,128,1] x) => (float[a,b,c,d] y) {{ y = STFT{}(x, step, , length) }}"
    weights: dict[str, Weight] = {"step": np.array(8), "length": np.array(16)}
    for said, bins in (("", 9), ("<onesided=1>", 9), ("<onesided=0>", 16)):
        assert facts_of(text.format(said), weights).shapes["y"] == (1, 15, bins, 2)


def test_weights_stay_unknown_but_single_numbers_are_known() -> None:
    facts = facts_of(
        """g (float[2,3] x) => (float[2,4] y) {
            v = Mul(w, two)  f = Sqrt(two)  h = MatMul(x, v)  y = Div(h, f)
        }""",
        {"w": (3, 4), "two": f32(2)},
    )
    assert facts.values.keys() == {"two", "f"}
    assert facts.shapes["v"] == (3, 4)
    assert facts.values["f"] == np.sqrt(np.float32(2))


def test_evaluation_is_bounded() -> None:
    side = int(np.sqrt(VALUE_LIMIT)) + 1
    facts = facts_of(
        """g (float[2] x) => (float[2] y) {
            a = ConstantOfShape<value = int64[1] {1}>(bomb)
            b = ConstantOfShape<value = int64[1] {1}>(large)
            c = ConstantOfShape<value = int64[1] {1}>(most)
            y = Identity(x)
        }""",
        {
            "bomb": np.array([2**20, 2**20]),
            "large": np.array([side, side]),
            "most": np.array([VALUE_LIMIT]),
        },
    )
    assert "a" not in facts.values
    assert "b" not in facts.values
    assert facts.shapes["a"] == (2**20, 2**20)
    assert facts.values["c"].tolist() == [1] * VALUE_LIMIT


def test_what_cannot_be_evaluated_is_unknown_and_no_error() -> None:
    facts = facts_of(
        """g (float[2,3] x) => (float[2,3] y) {
            d = Div(one, zero)  g = Gather(three, nine)  y = Identity(x)
        }""",
        {
            "one": np.array([1]),
            "zero": np.array([0]),
            "three": np.array([1, 2, 3]),
            "nine": np.array([9]),
        },
    )
    assert not facts.values.keys() & {"d", "g"}
    assert facts.shapes["d"] == facts.shapes["g"] == (1,)


def custom(declared: str) -> onnx.ModelProto:
    header = '<ir_version: 8, opset_import: ["": 17, "mine": 1]>'
    body = "{ a = mine.Thing(x)  y = Relu(a) }"
    return proto_of(f"{header} g (float[n,3] x) => (float[n,3] y) {declared} {body}", {})


@pytest.mark.parametrize(
    ("declared", "shape"),
    [("", None), ("<float[n,5] a>", (4, 5)), ("<float[m,5] a>", None), ("<float[2,5] a>", (2, 5))],
)
def test_unknown_operators_go_by_what_the_file_declares(
    declared: str, shape: tuple[int, ...] | None
) -> None:
    facts = interpret(custom(declared), {"x": (4, 3)})
    assert facts.shapes.get("a") == shape


def test_shapes_that_were_found_otherwise() -> None:
    facts = interpret(
        custom("<float[m,5] a>"), {"x": (4, 3)}, {"a": Told(onnx.TensorProto.FLOAT, (4, 7))}
    )
    assert facts.shapes["a"] == (4, 7)
    assert facts.shapes["y"] == (4, 7)


def test_random_numbers_are_never_known() -> None:
    facts = facts_of(
        "g (float[2] x) => (float[2] y) { r = Dropout(one)  y = Add(x, r) }",
        {"one": f32([1])},
    )
    assert "r" not in facts.values


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("value_ints = [1, 2]", [1, 2]),
        ("value_int = 3", 3),
        ("value_float = 0.5", 0.5),
        ("value_floats = [0.5, 1.5]", [0.5, 1.5]),
        ("value = int64[2] {7, 8}", [7, 8]),
        ('value_string = "a"', None),
    ],
)
def test_constants_are_read_from_every_attribute_that_holds_numbers(
    attribute: str, expected: object
) -> None:
    node = onnx.parser.parse_node(f"c = Constant<{attribute}>()")
    array = constant_of(node)
    assert (None if array is None else array.tolist()) == expected


@pytest.mark.parametrize("opset", [7, 11, 12, 13, 17])
def test_operators_are_evaluated_as_their_opset_has_them(opset: int) -> None:
    """Before opset 13 the axes of Unsqueeze are an attribute."""
    unsqueeze = "Unsqueeze <axes=[0]> (c)" if opset < 13 else "Unsqueeze(c, first)"
    proto = proto_of(
        f"""g (float[2,6,16] x) => (int64[1] y) <int64 place = {{1}}, int64[1] first = {{0}}> {{
            s = Shape(x)  c = Gather <axis=0> (s, place)  y = {unsqueeze}
        }}""",
        {},
        opset=opset,
    )
    assert interpret(proto, {"x": (2, 6, 16)}).values["y"].tolist() == [6]
