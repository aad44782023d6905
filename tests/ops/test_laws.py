"""Every signature is checked against ONNX Runtime on every case of its operator."""

from __future__ import annotations

from importlib import import_module

import pytest

from onnxprune.ops import control, opaque
from onnxprune.ops.registry import FAMILIES, all_operators, lookup
from tests.ops.case import Case
from tests.ops.laws import Bench, build, check, draw_keeps

LAWLESS = (control, opaque)
"""Operators with bodies take more than a node of their own: see `test_control`. Of those in
`opaque` there is nothing that a law could say: see `test_schemas`."""
FAMILY_NAMES = [family.__name__.rpartition(".")[2] for family in FAMILIES if family not in LAWLESS]


def cases_of(family: str) -> tuple[Case, ...]:
    cases: tuple[Case, ...] = import_module(f"tests.ops.cases.{family}").CASES
    return cases


CASES = [case for family in FAMILY_NAMES for case in cases_of(family)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_laws_hold(case: Case) -> None:
    if not case.is_known:
        pytest.skip("the installed onnx or ONNX Runtime is older than what is described")
    bench = build(case)
    blocked, partly = restricted_axes(bench)
    assert blocked == set(case.blocked)
    assert partly == set(case.partly)
    comparisons = sum(check(bench, keeps) for keeps in draw_keeps(bench))
    assert comparisons or not bench.free_leaves()


def restricted_axes(bench: Bench) -> tuple[set[str], set[str]]:
    """Axes with more than one index that cannot be pruned, and those that can in part.

    Constants of integers and truth values are left out: they say how to do, not what with.
    """
    blocked: set[str] = set()
    partly: set[str] = set()
    for value in bench.values:
        if value.data is not None and value.data.dtype.kind in "biu":
            continue
        for axis, dim in enumerate(value.dims):
            free = {leaf.is_free for leaf in dim.leaves() if leaf.size > 1}
            if free == {False}:
                blocked.add(f"{value.name}.{axis}")
            elif len(free) == 2:
                partly.add(f"{value.name}.{axis}")
    return blocked, partly


def test_every_operator_has_a_case_for_every_version() -> None:
    tried = {id(lookup(case.domain, case.op_type, case.opset)) for case in CASES}
    missing = [
        f"{operator.name} since {operator.since}"
        for operator in all_operators()
        if id(operator) not in tried and not any(operator in family.OPERATORS for family in LAWLESS)
    ]
    assert not missing
