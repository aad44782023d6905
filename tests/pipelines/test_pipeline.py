"""Pipelines: by hand, several removals in a row, one plan for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import onnxprune as op
from onnxprune.errors import CannotTellError, EquivalenceError, ModelError, UsageError
from onnxprune.passes.work import PassReport, Work
from tests.texts import Weight, model_of, op_types, replace

TEXT = """g (float[n,3,6,6] x) => (float[n,5,6,6] y) {
    a = Conv(x, w1, b1)  r = Relu(a)  c = Conv(r, w2)  s = Sigmoid(c)
    t = Concat<axis=1>(r, s)  d = Conv<group=2>(t, w3)  y = Conv(d, w4)
}"""
WEIGHTS: dict[str, Weight] = {
    "w1": (12, 3, 1, 1),
    "b1": (12,),
    "w2": (12, 12, 1, 1),
    "w3": (10, 12, 1, 1),
    "w4": (5, 10, 1, 1),
}


def network(seed: int = 0) -> op.Model:
    return model_of(TEXT, WEIGHTS, seed=seed)


def assert_same_weights(left: op.Model, right: op.Model) -> None:
    assert left.constants.keys() == right.constants.keys()
    for name, tensor in left.constants.items():
        assert np.array_equal(tensor.numpy(), right.constants[name].numpy()), name


@dataclass(frozen=True, kw_only=True)
class Spoil:
    """A pass with a bug."""

    name: ClassVar[str] = "spoil"
    factor: float = 2.0

    def run(self, work: Work) -> PassReport:
        work.model = work.model.copy()
        replace(work.model, "b1", work.model.constants["b1"].numpy() + np.float32(self.factor))
        return PassReport(self.name, True)


def test_a_saved_result_and_its_replayed_plan_have_the_same_weights(tmp_path: Path) -> None:
    network().save(tmp_path / "in.onnx")
    model = op.load(tmp_path / "in.onnx")
    result = op.Pipeline(
        [
            op.passes.FoldConstants(),
            op.passes.RemoveChannels(ratio=0.3, criterion="l2", round_to=1),
            op.passes.FoldEmpty(),
        ]
    ).run(model)
    assert result.verify().passed
    result.model.save(tmp_path / "out.onnx")
    result.plan.save(tmp_path / "plan.json")
    assert_same_weights(op.load(tmp_path / "out.onnx"), result.model)
    replayed = op.apply_plan(op.Plan.load(tmp_path / "plan.json"), tmp_path / "in.onnx")
    assert_same_weights(replayed.model, result.model)
    assert result.plan.model_sha256 == model.sha256


def test_the_model_given_stays_as_it_is() -> None:
    model = network()
    before = model.to_bytes()
    op.prune(model, 0.5, round_to=1)
    assert model.to_bytes() == before


def test_chaining_by_hand_equals_a_pipeline() -> None:
    model = network()
    first = op.Pipeline("fold-constants").run(model)
    second = op.Pipeline("remove-channels{ratio=0.5,round_to=1}").run(first.model)
    third = op.Pipeline("fold-empty").run(second.model)
    whole = op.Pipeline("fold-constants,remove-channels{ratio=0.5,round_to=1},fold-empty")
    assert_same_weights(third.model, whole.run(model).model)
    assert all(result.verify().passed for result in (first, second, third))


def test_reports_tell_what_each_pass_did() -> None:
    said: list[str] = []
    text = "fold-constants,remove-channels{ratio=0.5,round_to=1},fold-empty"
    result = op.Pipeline(text).run(network(), progress=said.append)
    names = ["fold-constants", "remove-channels{ratio=0.5,round_to=1}", "fold-empty"]
    assert said == names
    assert [report.name for report in result.reports] == names
    assert [report.modified for report in result.reports] == [False, True, False]
    assert all(report.seconds >= 0 for report in result.reports)
    assert {"analyse", "remove"} <= result.seconds.keys()


@pytest.mark.parametrize("kinds", ["channel|residual|intermediate|head|group", "group"])
def test_two_removals_compose_one_plan(kinds: str) -> None:
    model = network()
    first = "fold-constants,remove-channels{ratio=0.3,round_to=1,kinds=channel},fold-empty"
    second = f"remove-channels{{ratio=0.5,round_to=1,kinds={kinds}}}"
    result = op.Pipeline(f"{first},{second}").run(model)
    assert len(result.removals) == 2
    assert result.verify().passed
    replayed = op.apply_plan(op.Plan.from_json(result.plan.to_json()), model)
    assert_same_weights(replayed.model, result.model)
    assert replayed.verify().passed


def test_verify_each_names_the_pass() -> None:
    steps = [
        *op.Pipeline("fold-constants,remove-channels{ratio=0.5,round_to=1}").passes,
        Spoil(factor=3.0),
        op.passes.FoldEmpty(),
    ]
    with pytest.raises(EquivalenceError) as raised:
        op.Pipeline(steps).run(network(), verify_each=True)
    assert raised.value.where.startswith("after pass spoil{factor=3.0}: ")
    text = "fold-constants,remove-channels{ratio=0.5,round_to=1},fold-empty"
    assert op.Pipeline(text).run(network(), verify_each=True).is_pruned


def test_a_pass_that_breaks_a_model_before_any_removal_is_found() -> None:
    result = op.Pipeline([Spoil()]).run(network())
    with pytest.raises(EquivalenceError):
        result.verify()
    with pytest.raises(EquivalenceError, match="after pass spoil"):
        op.Pipeline([op.passes.FoldConstants(), Spoil()]).run(network(), verify_each=True)


def test_a_pass_that_breaks_a_model_between_removals_is_found() -> None:
    removal = op.passes.RemoveChannels(ratio=0.3, round_to=1)
    result = op.Pipeline([removal, Spoil(), removal]).run(network())
    assert len(result.removals) == 2
    with pytest.raises(EquivalenceError):
        result.verify()


def test_a_pass_that_breaks_a_model_before_a_removal_is_found() -> None:
    removal = op.passes.RemoveChannels(ratio=0.3, round_to=1)
    result = op.Pipeline([Spoil(), removal]).run(network())
    with pytest.raises(EquivalenceError):
        result.verify()


def test_dead_network_cannot_be_told() -> None:
    model = network()
    replace(model, "w4", model.constants["w4"].numpy() * 0)
    with pytest.raises(CannotTellError, match="no output reacts"):
        op.prune(model, 0.3, round_to=1).verify()


def test_input_shapes_are_checked() -> None:
    with pytest.raises(UsageError, match="no input 'z'"):
        op.Pipeline("fold-constants").run(network(), input_shapes={"z": (1,)})
    result = op.Pipeline("remove-channels{round_to=1}").run(
        network(), input_shapes={"x": (5, 3, 6, 6)}
    )
    assert result.verify().passed


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such model file"):
        op.prune(tmp_path / "none.onnx")


def test_results_run_at_other_batch_sizes() -> None:
    result = op.prune(network(), 0.5, round_to=1)
    for batch in (1, 3, 8):
        assert result.verify(result.feeds(batch=batch)).passed
    assert op_types(result.model) == op_types(network())
