"""Measured sensitivity as a criterion: comparable between groups, and in the order of obs."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.groups import find_groups
from onnxprune.data.batches import Batch
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.measure.sensitivity import GroupSensitivity
from onnxprune.passes.measure.trials import Outcome
from onnxprune.passes.score.scoring import Scoring
from onnxprune.passes.score.sensitivity import sensitivity, shared
from tests.texts import f32, model_of


def _scoring(scale: float) -> Scoring:
    rng = np.random.default_rng(0)
    model = model_of(
        """g (float[n,8] x) => (float[n,4] y, float[n,4] z) {
            a = MatMul(x, w1)  y = MatMul(a, w2)  b = MatMul(x, w3)  c = MatMul(b, w4)
            d = Mul(c, s)  z = Add(d, one)
        }""",
        {"w1": (8, 16), "w2": (16, 4), "w3": (8, 16), "w4": (16, 4), "s": f32([scale]),
         "one": f32([1.0])},
    )  # fmt: skip
    analysis = analyse(canonicalise(model))
    data = [Batch({"x": f32(rng.standard_normal((32, 8)))}, None, 32)]
    return Scoring(analysis, find_groups(analysis), data=data)


def test_groups_that_matter_less_score_less() -> None:
    """The second one hardly shows in its output, whatever its weights are."""
    first, second = sensitivity(_scoring(0.01)).values()
    assert first.mean() > 100 * second.mean()


def test_steps_add_up_and_keep_the_order() -> None:
    group = _scoring(1.0).groups[0]
    outcomes = {2: Outcome(0.1), 4: Outcome(0.3), 8: Outcome(0.35), 12: Outcome(0.9)}
    order = np.random.default_rng(1).random(16)
    scores = shared(GroupSensitivity(group, outcomes), order)
    assert (np.argsort(scores) == np.argsort(order)).all()
    ranked = np.sort(scores)
    lost = [-np.log(1 - outcome.loss) for outcome in outcomes.values()]
    assert ranked[:2].sum() == pytest.approx(lost[0], rel=1e-3)
    assert ranked[:8].sum() == pytest.approx(lost[2], rel=1e-3)  # the steps to 4 and 8 are pooled
    assert ranked[:12].sum() == pytest.approx(lost[3], rel=1e-3)


def test_scores_may_depend_on_another_leaf() -> None:
    """Of a ragged group each row has its own order."""
    group = _scoring(1.0).groups[0]
    order = np.random.default_rng(1).random((3, 16))
    scores = shared(GroupSensitivity(group, {4: Outcome(0.1), 8: Outcome(np.inf)}), order)
    assert scores.shape == (3, 16)
    assert np.isfinite(scores).all()
    assert (np.argsort(scores, axis=1) == np.argsort(order, axis=1)).all()
