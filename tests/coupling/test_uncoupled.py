"""What a signature leaves out shows."""

from __future__ import annotations

import pytest

from onnxprune.coupling import analysis as analysis_module
from onnxprune.coupling.uncoupled import Uncoupled, uncoupled_axes
from onnxprune.ops.operator import Operator, signature
from onnxprune.ops.registry import lookup
from tests.coupling.models import couple

BODY = "h = Conv(x, w1)  y = Relu(h)"
WEIGHTS = {"w1": (8, 3, 3, 3)}


def test_kernels_and_places_are_rightly_alone() -> None:
    found = uncoupled_axes(couple(BODY, WEIGHTS).analysis)
    assert {(axis.op_type, axis.operand, axis.axis) for axis in found} == {
        ("Conv", operand, axis) for operand in ("in0", "in1", "out0") for axis in (2, 3)
    }
    assert {axis.reason for axis in found} == {"spatial or kernel axis"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x[n, c, *s] -> y[n, d, *s]", "spatial or kernel axis"),
        ("x[n, ~c, *s] -> y[n, ~d, *s]", ""),
    ],
)
def test_an_under_declared_operator_is_seen(
    monkeypatch: pytest.MonkeyPatch, line: str, expected: str
) -> None:
    def poor(domain: str, op_type: str, version: int) -> Operator | None:
        return signature("Relu", line) if op_type == "Relu" else lookup(domain, op_type, version)

    monkeypatch.setattr(analysis_module, "lookup", poor)
    found = uncoupled_axes(couple(BODY, WEIGHTS).analysis)
    assert found[Uncoupled("Relu", "in0", 1, expected)] == 1
    assert found[Uncoupled("Relu", "out0", 1, expected)] == 1
