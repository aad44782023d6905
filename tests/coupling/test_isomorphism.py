"""Groups of the same structure."""

from __future__ import annotations

from onnxprune.coupling.isomorphism import isomorphism_classes
from tests.coupling.models import couple

BLOCKS = """
    a1 = Conv(x, w1)  r1 = Relu(a1)
    a2 = Conv(r1, w2)  r2 = Relu(a2)
    a3 = Conv(r2, w3)  r3 = Sigmoid(a3)
    a4 = Conv(r3, w4)  r4 = Relu(a4)
    a5 = Conv(r4, w5)  s = Add(a5, r4)
    y = Conv(s, w6)
"""


def test_only_operators_and_their_operands_count() -> None:
    coupled = couple(
        BLOCKS,
        {
            "w1": (8, 3, 3, 3),
            "w2": (12, 8, 1, 1),
            "w3": (10, 12, 1, 1),
            "w4": (6, 10, 1, 1),
            "w5": (6, 6, 1, 1),
            "w6": (4, 6, 1, 1),
        },
    )
    classes = isomorphism_classes(coupled.analysis, coupled.groups)
    of = {name: classes[coupled.group(name, 0)] for name in ("w1", "w2", "w3", "w4")}
    assert of["w1"] == of["w2"], "sizes and kernels are no part of the structure"
    assert of["w3"] != of["w1"], "another activation is another structure"
    assert of["w4"] not in (of["w1"], of["w3"]), "so is a residual"


def test_the_place_of_an_operand_counts() -> None:
    coupled = couple(
        "h = MatMul(x, w1)  i = Sub(h, v)  j = MatMul(i, w2)  k = Sub(u, j)  y = MatMul(k, w3)",
        {"w1": (3, 8), "v": (8,), "w2": (8, 10), "u": (10,), "w3": (10, 4)},
        x="float[2,3] x",
        y="float[2,4] y",
    )
    classes = isomorphism_classes(coupled.analysis, coupled.groups)
    assert len(set(classes.values())) == 2
