"""Random networks, pruned at random: what comes out is valid and equals the masked reference."""

from __future__ import annotations

import os

import numpy as np
import onnx
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import onnxprune as op
from onnxprune.coupling.groups import DEFAULT_KINDS, KINDS
from tests.random_graphs import networks
from tests.texts import assert_valid

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


@settings(
    max_examples=5000 if LONG else 800,
    deadline=None,
    database=None,
    derandomize=not LONG,
    suppress_health_check=(
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ),
)
@given(
    networks(),
    st.sampled_from((0.2, 0.35, 0.5, 0.8)),
    st.sampled_from(("uniform", "global")),
    st.sampled_from((DEFAULT_KINDS, KINDS)),
    st.sampled_from((1, 2, "auto")),
)
def test_pruned_networks_equal_their_masked_reference(
    model: onnx.ModelProto, ratio: float, scope: str, kinds: tuple[str, ...], round_to: int | str
) -> None:
    loaded = op.load(model)
    result = op.prune(loaded, ratio, scope=scope, kinds=kinds, round_to=round_to)
    verdict = result.verify(check=False)
    event(f"{verdict.verdict}, {'pruned' if result.is_pruned else 'nothing to prune'}")
    assert verdict.verdict != "failed", verdict
    assert_valid(result.model)
    if result.is_pruned:
        assert result.model.parameters < loaded.parameters
        again = op.apply_plan(op.Plan.from_json(result.plan.to_json()), loaded).model
        assert again.constants.keys() == result.model.constants.keys()
        for name, tensor in again.constants.items():
            assert np.array_equal(tensor.numpy(), result.model.constants[name].numpy())
