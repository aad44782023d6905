"""Plans: their format, their replay, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxprune as op
from onnxprune.coupling.axis_plan import Blocks, compose
from onnxprune.coupling.plan import KeptAxes
from onnxprune.errors import PlanError, WriteError
from tests.texts import Weight, model_of

GROUPED = """g (float[2,3,5,5] x) => (float[2,5,5,5] y) {
    a = Conv(x, w0)  h = Conv<group=2>(a, w1, b1)  y = Conv(h, w2)
}"""
WEIGHTS: dict[str, Weight] = {
    "w0": (6, 3, 1, 1),
    "w1": (6, 3, 1, 1),
    "b1": (6,),
    "w2": (5, 6, 1, 1),
}


@cache
def ragged() -> tuple[op.Model, op.Plan]:
    first = np.ones((6, 3, 1, 1), np.float32)
    first[[0, 4]] = 0.1
    kernel = np.ones((6, 3, 1, 1), np.float32)
    kernel[[0, 5]] = 0.1
    model = model_of(GROUPED, WEIGHTS | {"w0": first, "w1": kernel})
    return model, op.prune(model, 0.34, round_to=1).plan


def test_json_has_the_agreed_form(tmp_path: Path) -> None:
    model, plan = ragged()
    plan.save(tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    settings = document.pop("settings")
    assert document == {
        "schema": 1,
        "model_sha256": model.sha256,
        "initializers": {
            "w0": {"0": [1, 2, 3, 5]},
            "w1": {"0": [1, 2, 3, 4], "1": {"by": 0, "blocks": [[1, 2], [0, 2]]}},
            "b1": {"0": [1, 2, 3, 4]},
            "w2": {"1": [1, 2, 3, 4]},
        },
        "allow_io": [],
        "repaired": {},
    }
    text = "fold-constants,remove-channels{ratio=0.34,round_to=1},fold-empty,repair"
    assert settings == {"pipeline": text}
    assert op.Plan.load(tmp_path / "plan.json") == plan
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_replay_on_another_checkpoint() -> None:
    _, plan = ragged()
    other = model_of(GROUPED, WEIGHTS, seed=5)
    result = op.apply_plan(plan, other)
    assert result.verify().passed
    whole = {name: tensor.numpy() for name, tensor in other.constants.items()}
    found = {name: tensor.numpy() for name, tensor in result.model.constants.items()}
    assert np.array_equal(found["w0"], whole["w0"][[1, 2, 3, 5]])
    assert np.array_equal(found["b1"], whole["b1"][[1, 2, 3, 4]])
    assert np.array_equal(found["w2"], whole["w2"][:, [1, 2, 3, 4]])
    upper, lower = whole["w1"][[1, 2]][:, [1, 2]], whole["w1"][[3, 4]][:, [0, 2]]
    assert np.array_equal(found["w1"], np.concatenate([upper, lower]))
    assert result.plan.initializers == plan.initializers
    assert result.plan.model_sha256 == other.sha256


def test_whole_groups_are_replayed() -> None:
    model, _ = ragged()
    result = op.prune(model, 0.5, kinds=("group",), round_to=1)
    assert result.plan.initializers["w1"] == {0: (0, 1, 2)}
    again = op.apply_plan(result.plan, model_of(GROUPED, WEIGHTS, seed=3))
    assert again.model.constants["w1"].shape == (3, 3, 1, 1)
    assert again.verify().passed


def test_blocks_that_keep_the_same_are_replayed() -> None:
    model, plan = ragged()
    alike: KeptAxes = {"w0": {0: (1, 2, 4, 5)}, "w1": {1: Blocks(0, ((1, 2), (1, 2)))}}
    result = op.apply_plan(replace(plan, initializers=alike), model)
    assert result.plan.initializers == alike
    assert result.verify().passed


def test_some_groups_and_some_channels_of_the_others() -> None:
    text = GROUPED.replace("group=2", "group=3")
    weights = WEIGHTS | {"w0": (12, 3, 1, 1), "w1": (9, 4, 1, 1), "b1": (9,), "w2": (5, 9, 1, 1)}
    model = model_of(text, weights)
    kept = (1, 2, 8, 11)
    blocks = Blocks(0, ((1, 2), (1, 2), (0, 3)))
    outputs = (0, 1, 2, 6, 7, 8)
    plan = op.Plan(
        model.sha256,
        {"w0": {0: kept}, "w1": {0: outputs, 1: blocks}, "b1": {0: outputs}, "w2": {1: outputs}},
    )
    result = op.apply_plan(plan, model)
    assert result.model.constants["w1"].shape == (6, 2, 1, 1)
    assert result.verify().passed


def changed(**changes: Any) -> dict[str, Any]:
    return ragged()[1].to_json() | changes


@pytest.mark.parametrize("document", [None, [], {}, {"schema": 2}])
def test_documents_of_another_kind_are_refused(document: Any) -> None:
    with pytest.raises(PlanError, match="this is no plan of schema 1") as raised:
        op.Plan.from_json(document)
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"initializers": None},
        {"initializers": {"w0": [1]}},
        {"initializers": {"w0": {"zero": [1]}}},
        {"initializers": {"w0": {"0": 3}}},
        {"initializers": {"w0": {"0": ["x"]}}},
        {"initializers": {"w0": {"0": {"by": 0}}}},
        {"settings": None},
    ],
    ids=str,
)
def test_damaged_documents_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="the plan is damaged") as raised:
        op.Plan.from_json(changed(**changes))
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    ("initializers", "message"),
    [
        ({"nobody": {"0": [1]}}, "no initializer 'nobody'"),
        ({"w0": {"7": [1]}}, "has no axis 7"),
        ({"w0": {"-1": [0]}}, "has no axis -1"),
        ({"w0": {"0": [1, 99]}}, "indices that 'w0' does not have"),
        ({"w0": {"0": [-1, 1]}}, "indices that 'w0' does not have"),
        ({"w0": {"0": [2, 1, 3, 5]}}, "does not fit the couplings of initializer 'w0'"),
        ({"w0": {"0": [1, 1, 2, 3, 5]}}, "does not fit the couplings of initializer 'w0'"),
        ({"w0": {"0": [0, 1, 2, 3]}}, "more of one block of 'w0'"),
        ({"w0": {"1": [0, 1]}}, "blocked"),
        ({"w2": {"0": [0, 1]}}, "blocked"),
        ({"w0": {"0": [1, 2, 3, 5]}, "w1": {"1": [0, 1]}}, "does not fit the couplings"),
        ({"w1": {"1": {"by": 0, "blocks": [[0, 1], [0]]}}}, "more of one block"),
        ({"w1": {"1": {"by": 0, "blocks": [[0, 1], [1, 2], [0, 1]]}}}, "block by block"),
        ({"w0": {"0": {"by": 1, "blocks": [[0], [1]]}}}, "block by block"),
    ],
)
def test_plans_that_do_not_fit_are_refused(initializers: dict[str, Any], message: str) -> None:
    model, _ = ragged()
    plan = op.Plan.from_json(changed(initializers=initializers))
    with pytest.raises(PlanError, match=message):
        op.apply_plan(plan, model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the plan is no JSON"),
        (b"{", "the plan is no JSON"),
        (b"\xff\xfe", "the plan cannot be read"),
        (b"[]", "this is no plan of schema 1"),
        (None, "the plan cannot be read"),
    ],
)
def test_files_that_are_no_plan_are_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlanError, match=message) as raised:
        op.Plan.load(path)
    assert raised.value.where == str(path)


def test_a_plan_that_cannot_be_written_leaves_what_is_there(tmp_path: Path) -> None:
    _, plan = ragged()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.json").mkdir()
    for target in ("missing/plan.json", "file/plan.json", "folder.json"):
        with pytest.raises(WriteError, match="could not be written") as raised:
            plan.save(tmp_path / target)
        assert raised.value.where == str(tmp_path / target)
        assert raised.value.exit_code == 7
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.json"}
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_plan_changes_nothing() -> None:
    model, _ = ragged()
    result = op.apply_plan(op.Plan(model.sha256), model)
    assert not result.is_pruned
    assert result.model.constants["w0"].shape == (6, 3, 1, 1)


def test_a_second_plan_counts_in_what_the_first_keeps() -> None:
    assert compose((1, 3, 5, 7), (0, 2), "w") == (1, 5)
    blocks = Blocks(0, ((0, 1, 3), (1, 2, 4)))
    assert compose(blocks, (0, 2), "w") == Blocks(0, ((0, 3), (1, 4)))
    assert compose(blocks, Blocks(0, ((0,), (1,))), "w") == Blocks(0, ((0,), (2,)))
    assert compose((2, 3, 5, 6, 7), blocks, "w") == Blocks(0, ((2, 3, 6), (3, 5, 7)))
    for other in (Blocks(1, ((0,), (1,))), Blocks(0, ((0,), (1,), (2,)))):
        with pytest.raises(PlanError, match="different blocks"):
            compose(blocks, other, "w")


def test_two_removals_that_differ_from_block_to_block() -> None:
    model, _ = ragged()
    result = op.prune(model, 0.7, round_to=1, steps=2)
    assert len(result.removals) == 2
    assert any(
        isinstance(x, Blocks) for axes in result.plan.initializers.values() for x in axes.values()
    )
    plan = op.Plan.from_json(json.loads(json.dumps(result.plan.to_json())))
    assert plan == result.plan
    again = op.apply_plan(plan, model)
    for name, tensor in result.model.constants.items():
        assert np.array_equal(again.model.constants[name].numpy(), tensor.numpy())


def test_removals_are_replayed_one_after_the_other() -> None:
    """What one leaves may be coupled in other ways than the original."""
    weights: dict[str, Weight] = {
        "w0": (12, 3, 1, 1), "w1": (8, 12, 1, 1), "w2": (12, 8, 1, 1), "w4": (6, 12, 1, 1),
    }  # fmt: skip
    model = model_of(
        """g (float[1,3,4,4] x) => (float[1,6,4,4] y) {
            a = Conv(x, w0)  h = Conv(a, w1)  r = Relu(h)  f = Conv(r, w2)  m = Add(a, f)
            s = Relu(m)  y = Conv(s, w4)
        }""",
        weights,
    )
    channels = "remove-channels{ratio=0.5},fold-empty"
    result = op.Pipeline(f"fold-constants,remove-blocks,fold-empty,{channels}").run(model)
    assert [sorted(step) for step in result.plan.steps] == [["w1", "w2"], ["w0", "w4"]]
    again = op.apply_plan(op.Plan.from_json(result.plan.to_json()), model).model
    assert again.constants.keys() == result.model.constants.keys() == {"w0", "w4"}
    for name, tensor in result.model.constants.items():
        assert np.array_equal(again.constants[name].numpy(), tensor.numpy())
