"""A pytest plugin with one fixture, `gate`, which judges a pruned model by a policy.

    def test_release(gate):
        assert gate("policy.toml", "in.onnx", "out.onnx")

Installing onnxprune registers it. What the gate found is among the captured output of a test that
fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from onnxprune.gate.judge import Judgement


@pytest.fixture(scope="session")
def gate() -> Callable[..., Judgement]:
    """`onnxprune.judge`; what it returns is true if every check passes."""
    return _judged


def _judged(*arguments: Any, **options: Any) -> Judgement:
    # Every run of pytest loads this file; what it needs is imported when it is asked for.
    from onnxprune.gate.judge import judge
    from onnxprune.gate.record import record_of
    from onnxprune.reports.gate import print_gate

    judgement = judge(*arguments, **options)
    print_gate(record_of(judgement), sys.stdout)
    return judgement
