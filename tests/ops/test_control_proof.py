"""What the proof says of bodies: it finds mistakes made on purpose, and needs bodies that run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import onnxprune as op
from onnxprune.errors import CannotTellError
from onnxprune.ops import control, registry
from onnxprune.ops.operator import Operator
from onnxprune.ops.site import Site
from tests.ops.bodies import (
    BEFORE,
    BRANCHES,
    LOOP_BEFORE,
    WEIGHTS,
    Shapes,
    loop,
    pruned,
    shapes,
)
from tests.texts import model_of

RIGHT_IF = control.OPERATORS[0]


def forget_branch(site: Site) -> None:
    """The second branch may lose other channels."""
    site.bodies = site.bodies[:1]
    RIGHT_IF.relate(site)
    for value in site.operands:
        for dim in value.dims if value is not None else ():
            site.describe(dim)


def forget_state(site: Site) -> None:
    """A state may lose other channels in the body than before it."""
    (body,) = site.bodies
    for value in site.operands:
        for dim in value.dims if value is not None else ():
            site.describe(dim)
    first, second = body.inputs[2], body.outputs[1]
    assert first is not None
    assert second is not None
    site.same(first.dims[1], second.dims[1])


@pytest.mark.parametrize(
    ("name", "mistake", "text", "weights"),
    [
        ("If", forget_branch, BRANCHES, BEFORE),
        ("Loop", forget_state, loop("three, "), LOOP_BEFORE),
    ],
)
def test_mistakes_are_found(
    name: str,
    mistake: Callable[[Site], None],
    text: str,
    weights: Shapes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = registry.lookup
    wrong = Operator(name, mistake)
    monkeypatch.setattr(
        "onnxprune.coupling.analysis.lookup",
        lambda domain, kind, version: wrong if kind == name else right(domain, kind, version),
    )
    result = pruned(text, weights)
    assert result.is_pruned
    assert result.verify(check=False).verdict == "failed"


def test_a_branch_that_cannot_be_reached_proves_nothing() -> None:
    text = BRANCHES.replace("bool c)", "int64 i)").replace(
        "h = MatMul(x, w0)", "h = MatMul(x, w0)  j = Mul(i, i)  c = Less(j, zero)"
    )
    model = model_of(text, {**BEFORE, **WEIGHTS, "zero": np.array(0)})
    result = op.prune(model, 0.5, round_to=1)
    verdict = result.verify(check=False)
    assert verdict.verdict == "cannot tell"
    assert verdict.unreached == ("r.then_branch",)
    assert verdict.why.startswith("no input made r.then_branch run, which lost channels")
    with pytest.raises(CannotTellError, match="cannot be shown"):
        result.verify()


def test_conditions_on_data_are_met_by_more_inputs() -> None:
    """One input in eight takes the branch."""
    text = BRANCHES.replace("bool c)", "float[3] u)").replace(
        "h = MatMul(x, w0)", "h = MatMul(x, w0)  m = ReduceMin<keepdims=0>(u)  c = Less(zero, m)"
    )
    model = model_of(text, {**BEFORE, **WEIGHTS, "zero": np.array(0, np.float32)})
    result = op.prune(model, 0.5, round_to=1)
    assert result.verify().passed


def test_conditions_on_sizes_are_met_by_single_samples() -> None:
    text = (
        BRANCHES.replace("2,", "n,")
        .replace("float[n,6] x, bool c)", "float[n,6] x)")
        .replace(
            "h = MatMul(x, w0)",
            "h = MatMul(x, w0)  s = Shape(x)  n = Gather(s, zero)  c = Equal(n, one)",
        )
    )
    model = model_of(text, {**BEFORE, **WEIGHTS, "zero": np.array(0)})
    result = op.prune(model, 0.5, round_to=1)
    assert shapes(result)["w1"] == (4, 6)
    assert result.verify().passed
