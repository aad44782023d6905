"""Every signature is checked against ONNX Runtime on every case of its operator."""

from __future__ import annotations

import pytest

from onnxprune.ops.registry import all_operators
from tests.ops.bench import build, restricted_axes
from tests.ops.case import Case
from tests.ops.catalogue import CASES, LAWLESS, operator_of
from tests.ops.laws import check, draw_keeps


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


def test_every_operator_has_a_case_for_every_version() -> None:
    tried = {id(operator_of(case)) for case in CASES}
    missing = [
        f"{operator.name} since {operator.since}"
        for operator in all_operators()
        if id(operator) not in tried and not any(operator in family.OPERATORS for family in LAWLESS)
    ]
    assert not missing
