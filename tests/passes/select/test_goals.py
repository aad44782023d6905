"""Widths that several steps work towards."""

from __future__ import annotations

from typing import Any

import pytest

import onnxprune as op
from onnxprune.coupling.groups import Group
from onnxprune.passes import RemoveChannels
from onnxprune.passes.select.goals import Goals, named, of_the_rest
from onnxprune.passes.work import Work
from tests.texts import model_of

LAYERS = """g (float[2,6] x) => (float[2,4] y) {
    a = MatMul(x, w1) b = Relu(a) c = MatMul(b, w2) d = Relu(c) y = MatMul(d, w3)
}"""
WEIGHTS = {"w1": (6, 40), "w2": (40, 24), "w3": (24, 4)}


def groups_of(model: op.Model) -> list[Group]:
    return Work(model, model).study()[1]


@pytest.mark.parametrize("options", [{"scope": "global"}, {"targets": ("macs=0.4",)}])
def test_steps_end_where_one_step_does(options: dict[str, Any]) -> None:
    model = model_of(LAYERS, WEIGHTS)

    def pruned(steps: int) -> op.Result:
        ways = [step / steps for step in range(1, steps + 1)]
        passes = [RemoveChannels(round_to=1, way=way, **options) for way in ways]
        return op.Pipeline(passes).run(model)

    one, four = pruned(1), pruned(4)
    shapes = [
        {name: tensor.shape for name, tensor in result.model.constants.items()}
        for result in (one, four)
    ]
    assert shapes[0] == shapes[1]
    assert len(four.removals) == 4
    widths = [removal.pruned.constants["w1"].shape[1] for removal in four.removals]
    assert widths == sorted(widths, reverse=True)
    assert four.verify().passed


def test_a_step_goes_its_part_of_the_way() -> None:
    groups = groups_of(model_of(LAYERS, WEIGHTS))
    first, second = named(groups)
    goals = Goals({first: (40, 10), second: (24, 24)})
    for way, widths in ((0.25, [33, 24]), (0.5, [25, 24]), (1.0, [10, 24])):
        assert list(goals.counts(groups, way).values()) == widths
    later = Goals({first: (40, 10), second: (24, 0)}, since=0.5)
    assert list(later.counts(groups, 0.75).values()) == [25, 0]


def test_other_groups_are_decided_anew() -> None:
    groups = groups_of(model_of(LAYERS, WEIGHTS))
    first, second = named(groups)
    fitting = {first: (40, 10), second: (24, 12)}
    assert Goals(fitting).fit(groups)
    assert Goals({**fitting, "whole": (9, 9), "gone": (9, 0)}).fit(groups)
    assert not Goals({**fitting, "another": (9, 3)}).fit(groups)
    assert not Goals({first: (40, 10)}).fit(groups)
    assert not Goals({first: (80, 41), second: (24, 12)}).fit(groups)


def test_what_is_left_of_a_ratio() -> None:
    assert of_the_rest(0.5, 0.0) == 0.5
    assert 0.75 * (1 - of_the_rest(0.5, 0.5)) == pytest.approx(0.5)
