"""All cases of all operators."""

from __future__ import annotations

from importlib import import_module

from onnxprune.ops import control, opaque
from onnxprune.ops.operator import Operator
from onnxprune.ops.registry import FAMILIES, lookup
from tests.ops.case import Case

LAWLESS = (control, opaque)
"""Operators with bodies take more than a node of their own: see `test_control`. Of those in
`opaque` there is nothing that a law could say: see `test_schemas`."""


def _cases_in(family: str) -> tuple[Case, ...]:
    cases: tuple[Case, ...] = import_module(f"tests.ops.cases.{family}").CASES
    return cases


CASES = [
    case
    for family in FAMILIES
    if family not in LAWLESS
    for case in _cases_in(family.__name__.rpartition(".")[2])
]


def operator_of(case: Case) -> Operator | None:
    """What is registered for a case."""
    return lookup(case.domain, case.op_type, case.opset)
