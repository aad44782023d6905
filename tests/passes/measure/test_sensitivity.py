"""Cutting groups one by one: what is measured, kept, and taken up again."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import onnxprune as op
from onnxprune.data.batches import Batch
from onnxprune.errors import NothingToPruneError, UsageError
from onnxprune.passes.measure.trials import Outcome, Trial, Trials
from tests.texts import f32, model_of

TEXT = """g (float[n,4] x) => (float[n,2] y) {
    a = MatMul(x, w1)  b = Relu(a)  c = MatMul(b, w2)  d = Relu(c)  y = MatMul(d, w3)
}"""


def _model(text: str = TEXT) -> op.Model:
    """Two groups of four: the second one's indices add 1, 2, 4 and 8 to the output."""
    weights = {
        "w1": f32(np.eye(4)),
        "w2": f32(np.eye(4)),
        "w3": f32([[1, 0], [2, 0], [4, 0], [8, 0]]),
    }
    return model_of(text, weights)


DATA = [Batch({"x": f32(np.ones((2, 4)))}, None, 2)]


def test_the_loss_is_the_deviation_of_the_outputs() -> None:
    found = op.sensitivity(_model(), DATA, ratios=(0.25, 0.5))
    assert found.samples == 2
    for one in found.groups:
        losses = {removed: outcome.loss for removed, outcome in one.outcomes.items()}
        # All weights of a group are alike to l2, which leaves out the last ones first.
        lost = {1: 8, 2: 8 + 4}
        assert losses == pytest.approx({k: (v / 15) ** 2 for k, v in lost.items()})


def test_metrics_are_found_out_as_well() -> None:
    found = op.sensitivity(_model(), DATA, ratios=(0.5,), metrics=("agreement", "cosine"))
    outcome = found.groups[0].outcomes[2]
    assert outcome.scores == pytest.approx({"agreement": 1.0, "cosine": 1.0})


def test_processes_find_what_is_found_here() -> None:
    here = op.sensitivity(_model(), DATA)
    with ThreadPoolExecutor(2) as executor:
        there = op.sensitivity(_model(), DATA, executor=executor)
    assert [one.outcomes for one in here.groups] == [one.outcomes for one in there.groups]


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPRUNE_CACHE", str(tmp_path))
    ran: list[Trial] = []
    run = Trials.run

    def interrupted(self: Trials, trial: Trial) -> Outcome:
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(trial)
        return run(self, trial)

    monkeypatch.setattr(Trials, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        op.sensitivity(_model(), DATA, ratios=(0.25, 0.5))
    file = next(tmp_path.glob("trials-*.jsonl"))
    file.write_text(file.read_text() + '{"key": "bro')  # as if it broke off while writing
    ran.clear()
    found = op.sensitivity(_model(), DATA, ratios=(0.25, 0.5))
    assert found.known == 2
    assert len(ran) == 2
    assert found.groups[0].outcomes.keys() == {1, 2}


def test_what_is_known_depends_on_weights_data_and_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPRUNE_CACHE", str(tmp_path))
    other = model_of(TEXT, {"w1": (4, 4), "w2": (4, 4), "w3": (4, 2)})
    twice = [Batch({"x": f32(2 * np.ones((2, 4)))}, None, 2)]
    runs = [
        op.sensitivity(_model(), DATA),
        op.sensitivity(other, DATA),
        op.sensitivity(_model(), twice),
        op.sensitivity(_model(), DATA, metrics=("cosine",)),
    ]
    assert [found.known for found in runs] == [0, 0, 0, 0]
    assert op.sensitivity(_model(), DATA).known == 6


def test_two_groups_of_one_name_and_size_are_told_apart() -> None:
    """Both halves are made by one weight."""
    model = model_of(
        """g (float[n,4] x) => (float[n,2] y) {
            a = MatMul(x, w1)  b, c = Split<axis=1>(a, s)
            d = MatMul(b, w2)  e = MatMul(c, w3)  y = Add(d, e)
        }""",
        {"w1": (4, 8), "w2": (4, 2), "w3": f32(np.zeros((4, 2))), "s": np.array([4, 4])},
    )
    found = op.sensitivity(model, DATA, ratios=(0.5,))
    assert len({one.group.name for one in found.groups}) == 1
    assert [one.outcomes[2].loss > 0 for one in found.groups] == [True, False]


def test_outputs_that_overflow_are_lost() -> None:
    text = TEXT.replace(
        "y = MatMul(d, w3)", "s = MatMul(d, w3)  r = Reciprocal(s)  y = Min(r, big)"
    )
    weights = {"w1": f32(np.eye(4)), "w2": f32(np.eye(4)), "w3": f32([[0, 0]] * 3 + [[1, 1]])}
    model = model_of(text, weights | {"big": f32([np.inf])})
    losses = [o.loss for one in op.sensitivity(model, DATA, ratios=(0.25,)).groups
              for o in one.outcomes.values()]  # fmt: skip
    assert losses == [math.inf, math.inf]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratios": (0.0,)}, "a ratio of 0 cuts nothing or all"),
        ({"ratios": (1.0,)}, "a ratio of 1 cuts nothing or all"),
        ({"criterion": "none"}, "there is no criterion 'none'"),
        ({"metrics": ("top1",)}, "metric 'top1' needs labels"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        op.sensitivity(_model(), DATA, **options)  # type: ignore[arg-type]


def test_without_groups_there_is_nothing_to_cut() -> None:
    with pytest.raises(NothingToPruneError, match="no coupling group to cut"):
        op.sensitivity(_model(), DATA, ignore=("*",))


def test_outputs_that_cannot_be_compared_are_refused() -> None:
    text = TEXT.replace("float[n,2] y", "int64[n,1] y").replace("y = MatMul(d, w3)",
                        "s = MatMul(d, w3)  y = ArgMax<axis=1>(s)")  # fmt: skip
    with pytest.raises(UsageError, match="floating-point"):
        op.sensitivity(_model(text), DATA)


def test_outcomes_are_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPRUNE_CACHE", str(tmp_path))
    op.sensitivity(_model(), DATA, ratios=(0.5,))
    lines = next(tmp_path.glob("trials-*.jsonl")).read_text().splitlines()
    assert [json.loads(line).keys() for line in lines] == [{"key", "loss", "angle", "scores"}] * 2
