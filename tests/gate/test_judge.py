"""Policies against a real candidate, and against what went wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxprune as op
from onnxprune.errors import ProviderUnavailableError, UsageError
from onnxprune.gate import judge
from onnxprune.gate.checks import Check
from onnxprune.gate.rules import FidelityRule, MetricRule, SpeedRule
from onnxprune.gate.verdicts import of_fidelity, of_metric, of_speed
from onnxprune.verify.fidelity import Fidelity
from onnxprune.verify.metrics import Score
from onnxprune.verify.paired import Paired
from onnxprune.verify.speed import Latency, Speedup
from tests.gate.conftest import policy_of


def judged(folder: Path, text: str) -> Mapping[str, Check]:
    return {check.name: check for check in judge(policy_of(folder, text)).checks}


def change(path: Path) -> None:
    """Change one element of a weight."""
    model = onnx.load(path)
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    array = onnx.numpy_helper.to_array(weight).copy()
    array[0, 0] += 3
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    onnx.save(model, path)


def test_a_changed_weight_fails_the_equivalence(release: Path) -> None:
    assert judge(release / "policy.toml")
    change(release / "out.onnx")
    judgement = judge(release / "policy.toml")
    assert (bool(judgement), judgement.verdict) == (False, "fail")
    assert "equivalence: fail" in repr(judgement)


def test_a_plan_that_does_not_fit_the_candidate_fails(release: Path) -> None:
    """Such as one whose repaired weights are others now."""
    data = op.open_data(release / "test.npz", op.load(release / "in.onnx"), limit=64)
    result = op.prune(release / "in.onnx", 0.3, data=data)
    result.model.save(release / "out.onnx")
    result.plan.save(release / "plan.json")
    assert judge(release / "policy.toml")
    change(release / "out.onnx")
    (check,) = judge(release / "policy.toml").checks
    assert (check.verdict, "plan's repair" in check.why) == ("fail", True)


def test_a_candidate_that_does_not_run_fails(release: Path) -> None:
    model = onnx.load(release / "out.onnx")
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weight.CopyFrom(onnx.numpy_helper.from_array(np.zeros((3, 2, 3, 3), "f4"), weight.name))
    onnx.save(model, release / "out.onnx")
    (check,) = judge(release / "policy.toml").checks
    assert (check.verdict, "runs" in check.why) == ("fail", True)


def test_each_rule_of_structure_passes_and_fails(release: Path) -> None:
    text = """[structure]
        inputs_outputs_unchanged = true
        metadata_kept = true
        min_opset = 17
        max_opset = 17
        max_ir_version = 12
        no_operators = ["Loop"]
    """
    assert {c.verdict for c in judged(release, text).values()} == {"pass"}
    model = onnx.load(release / "out.onnx")
    model.producer_name = ""
    model.opset_import[0].version = 18
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other"
    onnx.save(model, release / "out.onnx")
    found = judged(release, text + 'operators = ["Conv"]')
    assert {name: c.verdict for name, c in found.items() if c.verdict != "pass"} == {
        "inputs and outputs unchanged": "fail",
        "metadata kept": "fail",
        "greatest opset": "fail",
        "operators allowed": "fail",
    }
    assert "producer_name" in found["metadata kept"].why
    assert "Gemm" in found["operators allowed"].why


def test_costs_are_measured_and_held_to_their_limits(release: Path) -> None:
    found = judged(release, '[cost]\nmacs = 0.9\nparams = 0.1\nsize = "10kB"\nmemory = "1GB"')
    verdicts = {name: c.verdict for name, c in found.items()}
    assert verdicts == {"macs": "pass", "params": "fail", "size": "fail", "memory": "pass"}
    assert found["size"].measured == (release / "out.onnx").stat().st_size
    assert found["params"].measured == op.load(release / "out.onnx").parameters


DATA = '[data.test]\nsource = "test.npz"\nlabels = "label"\nsamples = 100\n'


def test_fidelity_and_metrics_on_data(release: Path) -> None:
    text = (
        DATA
        + """
        [[fidelity]]
        data = "test"
        min_cosine = 0.999
        min_agreement = 0.01
        [[metric]]
        name = "top1"
        data = "test"
        minimum = 0.01
        max_drop = 1
        [[metric]]
        name = "cosine"
        data = "test"
        minimum = 0.999
        [[fidelity]]
        max_abs = 1e9
    """
    )
    found = judged(release, text)
    assert {name: c.verdict for name, c in found.items()} == {
        "top1 on test": "pass",
        "drop of top1 on test": "pass",
        "cosine on test": "fail",
        "cosine of logits on test": "fail",
        "agreement of logits on test": "pass",
        "largest difference of logits on random inputs": "pass",
    }
    drop = found["drop of top1 on test"]
    assert drop.interval is not None
    assert drop.measured is not None
    assert drop.interval[0] < drop.measured < drop.interval[1]


def test_an_output_that_is_not_there_fails(release: Path) -> None:
    found = judged(release, '[[fidelity]]\noutput = "logit"\nmin_cosine = 0.1')
    (check,) = found.values()
    assert (check.verdict, "logits" in check.why) == ("fail", True)


def test_speed_passes_and_fails_by_its_limits(release: Path) -> None:
    text = "[[speed]]\nbudget = 0.3\nmin_speedup = {}\nmax_latency_ms = {}"
    found = judged(release, text.format(0.01, 1e6))
    assert {c.verdict for c in found.values()} == {"pass"}
    found = judged(release, text.format(1e3, 1e-6))
    assert {c.verdict for c in found.values()} == {"fail"}


def test_two_rules_of_one_kind_have_names_of_their_own(release: Path) -> None:
    rule = "[[speed]]\nbudget = 0.1\nmin_speedup = 0.01\n"
    assert list(judged(release, rule * 2)) == [
        "speed-up on cpu, batch 1",
        "speed-up on cpu, batch 1 (2)",
    ]


def test_a_provider_that_is_not_there_is_an_error(release: Path) -> None:
    with pytest.raises(ProviderUnavailableError, match="QNNExecutionProvider is not available"):
        judged(release, '[[speed]]\nprovider = "qnn"\nmin_speedup = 1.1')


def test_models_have_to_be_named(release: Path) -> None:
    policy = op.Policy.of({"cost": {"macs": 0.9}})
    with pytest.raises(UsageError, match="no original"):
        judge(policy)
    models = release / "in.onnx", op.load(release / "out.onnx")
    judgement = op.judge(policy, *models)
    assert (judgement.verdict, [check.name for check in judgement.checks]) == ("pass", ["macs"])


# What cannot be measured on purpose.


def speedup(low: float, high: float, noise: tuple[float, float]) -> Speedup:
    latency = Latency(2.0, 3.0, 4.0, 100)
    return Speedup((low + high) / 2, low, high, *noise, "faster", latency, latency, 50)


@pytest.mark.parametrize(
    ("low", "high", "noise", "verdict"),
    [
        (1.25, 1.30, (0.99, 1.01), "pass"),
        (1.25, 1.30, (0.90, 1.10), "cannot tell"),
        (1.10, 1.30, (1.00, 1.00), "cannot tell"),
        (1.10, 1.15, (0.99, 1.01), "fail"),
        (1.10, 1.15, (0.90, 1.01), "cannot tell"),
    ],
)
def test_noise_widens_what_a_speed_up_may_be(
    low: float, high: float, noise: tuple[float, float], verdict: str
) -> None:
    (check,) = of_speed(SpeedRule(min_speedup=1.2), speedup(low, high, noise))
    assert check.verdict == verdict


def test_percentiles_of_latency() -> None:
    for percentile, expected in ((50, 2.0), (90, 3.0), (99, 4.0)):
        rule = SpeedRule(max_latency_ms=3.1, percentile=percentile)
        (check,) = of_speed(rule, speedup(1.2, 1.3, (0.98, 1.02)))
        assert check.measured == expected
        assert check.verdict == ("fail" if percentile == 99 else "pass")


def test_a_drop_is_told_with_its_interval() -> None:
    rule = MetricRule(name="top1", data="test", max_drop=0.02)
    for counts, verdict in (((900, 0, 0, 100), "pass"), ((880, 20, 0, 100), "cannot tell")):
        paired = Paired(*counts)
        score = Score("top1", paired.pruned, paired.original, 1000, paired)
        (check,) = of_metric(rule, score, "on test")
        assert check.verdict == verdict


def test_outputs_that_tell_nothing() -> None:
    rule = FidelityRule(min_cosine=0.5, min_agreement=0.5)
    steady = Fidelity(1.0, 90.0, 0.0, None, reacts=False)
    verdicts = [c.verdict for c in of_fidelity(rule, {"y": steady}, "here")]
    assert verdicts == ["cannot tell", "fail"]
    broken = Fidelity(1.0, 90.0, 0.0, 1.0, non_finite=3)
    assert {c.verdict for c in of_fidelity(rule, {"y": broken}, "here")} == {"fail"}
    assert [c.verdict for c in of_fidelity(rule, {}, "here")] == ["cannot tell"]
