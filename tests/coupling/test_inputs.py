"""What inputs may hold, read off their readers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.inputs import input_specs
from onnxprune.data.random import InputSpec
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.load import load
from tests.texts import model_of, proto_of


def spec_of(declared: str, nodes: str, output: str = "float[2,3] y") -> InputSpec:
    """The spec of input `i`."""
    text = f"g (float[2,3] x, {declared} i) => ({output}) {{ {nodes} }}"
    weights = {"rate": np.array(16000), "table": np.zeros((9, 3), np.float32)}
    canonical = canonicalise(model_of(text, weights))
    specs = {spec.name: spec for spec in input_specs(analyse(canonical))}
    return specs["i"]


def choose(condition: str) -> str:
    return f"""{condition}
        y = If<then_branch = t () => (float[2,3] p) {{ p = Relu(x) }},
               else_branch = e () => (float[2,3] q) {{ q = Neg(x) }}>(c)"""


@pytest.mark.parametrize(
    ("declared", "condition", "choices"),
    [
        ("bool", "c = Identity(i)", (1, 0)),
        ("bool[1]", "c = Not(i)", (1, 0)),
        ("int64", "c = Equal(i, rate)", (16000, 16001)),
        ("int64", "c = Less(rate, i)", (16001, 15999)),
        ("int64", "k = Reshape(i, one)  m = Squeeze(k)  c = Equal(m, rate)", (16000, 16001)),
        ("int64", "c = Cast<to=9>(i)", (1, 0)),
        ("int64", "a = Equal(i, rate)  b = Cast<to=9>(i)  c = And(a, b)", (16000, 16001, 1, 0)),
        ("int64", "k = Add(i, rate)  c = Cast<to=9>(k)", ()),
    ],
)
def test_choices_that_conditions_tell(
    declared: str, condition: str, choices: tuple[int, ...]
) -> None:
    one = "one = Constant<value = int64[1] {1}>()"
    spec = spec_of(declared, f"{one} {choose(condition)}")
    assert spec.choices == choices
    assert spec.limit is None


def test_choices_fit_the_type() -> None:
    nodes = "zero = Constant<value = uint8 {0}>()" + choose("c = Greater(i, zero)")
    assert spec_of("uint8", nodes).choices == (1,)


def test_what_a_loop_counts_to() -> None:
    nodes = """y = Loop<body = b (int64 n, bool k, float[2,3] s) => (bool k2, float[2,3] s2)
        { k2 = Identity(k)  s2 = Neg(s) }>(i, , x)"""
    assert spec_of("int64", nodes).choices == (3, 2)


def test_tables_bound_indices_and_masks_have_no_choices() -> None:
    spec = spec_of("int64[2]", "y = Gather(table, i)")
    assert (spec.limit, spec.choices) == (9, ())
    mask = "c = Cast<to=9>(i)  z = Sub(x, x)  y = Where(c, x, z)"
    assert spec_of("int64[2,3]", mask).choices == ()
    looked_up = "c = Equal(i, rate)  y = Gather(table, i)"
    assert spec_of("int64", looked_up, "float[3] y").choices == ()


def refused(proto: onnx.ModelProto) -> RuntimeFailureError:
    with pytest.raises(RuntimeFailureError, match="no inputs can be made up") as raised:
        input_specs(analyse(canonicalise(load(proto))))
    assert raised.value.exit_code == 3
    return raised.value


def test_sequences_cannot_be_made_up() -> None:
    text = "g (seq(float[2,3]) s) => (float[2,3] y) { y = SequenceAt(s, zero) }"
    assert "no tensor" in refused(proto_of(text, {"zero": np.array(0)})).why


def test_inputs_without_a_shape_cannot_be_made_up() -> None:
    proto = proto_of("g (float[] s) => (float[] y) { y = Relu(s) }", {})
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.ClearField("shape")
    assert "shape" in refused(proto).why
