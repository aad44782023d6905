"""Schedules: curves from the whole to what is left, for channels and for zeros."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from onnxprune.errors import UsageError
from onnxprune.passes import RemoveChannels, Sparsify
from onnxprune.passes.schedule import SCHEDULES, check_schedule, left_after
from onnxprune.pipelines.presets import pruning
from tests.texts import model_of

QUARTERS = (0.25, 0.5, 0.75, 1.0)
BY_HAND = {
    "linear": (0.8, 0.6, 0.4, 0.2),
    "cubic": (0.2 + 0.8 * 27 / 64, 0.2 + 0.8 / 8, 0.2 + 0.8 / 64, 0.2),
    "exponential": (0.2**0.25, 0.2**0.5, 0.2**0.75, 0.2),
    "constant": (0.2, 0.2, 0.2, 0.2),
}


def test_every_schedule_is_worked_out_by_hand() -> None:
    assert BY_HAND.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_values_are_those_by_hand(schedule: str) -> None:
    found = [left_after(schedule, 0.2, way) for way in QUARTERS]
    assert found == pytest.approx(BY_HAND[schedule], rel=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("end", [0.0, 0.1, 0.5, 1.0])
def test_curves_fall_from_the_whole_to_the_end(schedule: str, end: float) -> None:
    curve = [left_after(schedule, end, way) for way in np.linspace(0, 1, 41)]
    assert curve[0] == 1.0
    assert curve[-1] == end
    assert all(a >= b for a, b in pairwise(curve))
    assert all(end <= left <= 1 for left in curve)


def test_exponential_steps_leave_equal_shares() -> None:
    curve = [left_after("exponential", 0.2, way) for way in (0.0, *QUARTERS)]
    shares = [b / a for a, b in pairwise(curve)]
    assert shares == pytest.approx([0.2**0.25] * 4)


@pytest.mark.parametrize(
    ("schedule", "way", "message"),
    [
        ("cubik", 1.0, "there is no schedule 'cubik'"),
        ("", 1.0, "there is no schedule ''"),
        ("cubic", 0.0, "way is 0.0"),
        ("cubic", 1.01, "way is 1.01"),
        ("cubic", float("nan"), "way is nan"),
    ],
)
def test_options_that_make_no_sense(schedule: str, way: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_schedule(schedule, way)
    with pytest.raises(UsageError, match=message):
        Sparsify(sparsity=0.5, schedule=schedule, way=way)
    with pytest.raises(UsageError, match=message):
        RemoveChannels(schedule=schedule, way=way)


def test_a_misspelt_schedule_is_told_its_name() -> None:
    with pytest.raises(UsageError) as caught:
        check_schedule("cubik", 1.0)
    assert "cubic" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        check_schedule("xyz", 1.0)
    assert caught.value.hint == "choose from linear, cubic, exponential, constant"


NET = "g (float[n,8] x) => (float[n,4] y) { a = MatMul(x, w1)  b = Relu(a)  y = MatMul(b, w2) }"
WEIGHTS = {"w1": (8, 100), "w2": (100, 4)}


@pytest.mark.parametrize(
    ("schedule", "widths"),
    [
        ("linear", (85, 70, 55, 40)),
        # 40 + 60 * 27/64 = 65.3, 40 + 60/8 = 47.5, 40 + 60/64 = 40.9; widths are rounded up
        ("cubic", (66, 48, 41, 40)),
        # 100 * 0.4 ** (1/4) = 79.5, 63.2, 50.3
        ("exponential", (80, 64, 51, 40)),
        ("constant", (40, 40, 40, 40)),
    ],
)
def test_widths_after_each_step(schedule: str, widths: tuple[int, ...]) -> None:
    model = model_of(NET, WEIGHTS)
    result = pruning(steps=4, schedule=schedule, ratio=0.6, round_to=1).run(model)
    assert result.verify().passed
    cut = [r for r in result.removals if r.keeps]
    found = [removal.pruned.constants["w1"].shape[1] for removal in cut]
    assert found == list(dict.fromkeys(widths))
    assert result.model.constants["w2"].shape == (40, 4)


@pytest.mark.parametrize(
    ("schedule", "zeros"),
    [
        ("linear", (160, 320, 480, 640)),
        ("cubic", (370, 560, 630, 640)),
        ("exponential", (265, 442, 561, 640)),
        ("constant", (640, 640, 640, 640)),
    ],
)
def test_zeros_after_each_step(schedule: str, zeros: tuple[int, ...]) -> None:
    """Of 800 weights a fifth is left: 800 * (1 - 0.2 ** (1/4)) = 265.0, and so on."""
    model = model_of(NET, WEIGHTS)
    result = pruning(steps=4, schedule=schedule, sparsify={"sparsity": 0.8}).run(model)
    made = [r.sparsified.model for r in result.removals if r.sparsified]
    found = [int((model.constants["w1"].numpy() == 0).sum()) for model in made]
    assert found == list(zeros)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_pattern_is_reached_by_steps(schedule: str) -> None:
    """1:4 by way of 3:4 and 2:4; the last is what was asked for."""
    model = model_of(NET, WEIGHTS)
    result = pruning(steps=3, schedule=schedule, sparsify={"pattern": "1:4"}).run(model)
    made = [r.sparsified.model.constants["w2"].numpy() for r in result.removals if r.sparsified]
    stay = [int((array.reshape(25, 4, 4) != 0).sum(axis=1).max()) for array in made]
    assert len(stay) == 3
    assert stay == sorted(stay, reverse=True)
    assert stay[-1] == 1
    if schedule == "linear":
        assert stay == [3, 2, 1]


def test_steps_and_a_bound_on_channels() -> None:
    with pytest.raises(UsageError, match="3 steps make no sense here"):
        pruning(steps=3, threshold=0.1)
    for options in ({"steps": 0}, {"steps": -1, "sparsify": {"sparsity": 0.5}}):
        with pytest.raises(UsageError, match="there is one at least"):
            pruning(**options)


def test_channels_and_zeros_by_the_same_steps() -> None:
    model = model_of(NET, WEIGHTS)
    options: dict[str, Any] = {"ratio": 0.5, "round_to": 1, "sparsify": {"sparsity": 0.5}}
    result = pruning(steps=2, schedule="cubic", **options).run(model)
    assert result.verify().passed
    made = [r.sparsified.model.constants for r in result.removals if r.sparsified]
    # Of 100 channels 50 + 50/8 = 57 stay at first, and as large a share of the weights.
    assert [constants["w1"].shape for constants in made] == [(8, 57), (8, 50)]
    zeros = [int((constants["w1"].numpy() == 0).sum()) for constants in made]
    assert zeros == [round(8 * 57 * 0.4375), 200]
