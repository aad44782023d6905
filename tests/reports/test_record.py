"""The record: JSON, whatever stands in it."""

import json
from pathlib import Path

import numpy as np
import pytest

from onnxprune.data.dataset import open_data
from onnxprune.data.declared import DeclaredInput
from onnxprune.errors import ModelError, NothingToPruneError
from onnxprune.passes.work import Refusal
from onnxprune.reports.record import (
    blocked_entries,
    describe_evaluation,
    failed,
    plain,
    ratio,
    thinned,
)
from onnxprune.verify.evaluation import Evaluation
from onnxprune.verify.metrics import Score
from onnxprune.verify.paired import Paired


def test_plain_values_are_valid_json() -> None:
    record = {"a": np.float64(1.5), 2: (np.int64(3), float("nan")), "c": [float("-inf")], "d": None}
    text = json.dumps(plain(record), allow_nan=False)
    assert json.loads(text) == {"a": 1.5, "2": [3, None], "c": [None], "d": None}


def test_a_share_of_nothing_is_nothing() -> None:
    assert (ratio(1, 4), ratio(0, 0)) == (0.25, 0.0)


def test_a_difference_in_points_comes_with_its_interval(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 3), np.float32))
    inputs = [DeclaredInput("x", np.dtype(np.float32), ("N", 3))]
    paired = Paired(both=50, only_original=30, only_pruned=10, neither=10)
    scores = {
        "top1": Score("top1", 0.6, 0.8, 100, paired),
        "agreement": Score("agreement", 0.7, None, 100),
        "loss": Score("loss", 1.5, 1.0, 100),
    }
    data = open_data(tmp_path / "x.npy", inputs)
    record = describe_evaluation(Evaluation({}, scores, 100), data)
    assert record["measured_on"]["source"] == str(tmp_path / "x.npy")
    assert record["measured_on"]["samples"] == 100
    top1 = record["metrics"]["top1"]
    assert top1["difference"] == pytest.approx(-0.2)
    assert top1["points"]["difference"] == pytest.approx(-20)
    low, high = paired.interval(0.95)
    assert (top1["points"]["low"], top1["points"]["high"]) == (100 * low, 100 * high)
    assert low < -0.2 < high < 0
    assert record["metrics"]["agreement"] == {
        "original": None,
        "pruned": 0.7,
        "difference": None,
        "samples": 100,
        "points": None,
    }
    assert record["metrics"]["loss"]["difference"] == 0.5


def test_what_later_passes_repeat_is_listed_once() -> None:
    refused = [Refusal("output", "a", 10), Refusal("output", "b", 30), Refusal("output", "a", 10)]
    assert blocked_entries(refused, 100) == [
        {"reason": "output", "node": "a", "parameters": 0.1},
        {"reason": "output", "node": "b", "parameters": 0.3},
    ]


def test_a_failure_keeps_what_is_known() -> None:
    error = ModelError("no model", where="x.onnx", why="empty", hint="export it")
    record = failed({"seconds": {"load": 1.0}}, error)
    assert record == {
        "schema": 1,
        "status": "failed",
        "seconds": {"load": 1.0},
        "error": {
            "type": "ModelError",
            "message": "no model",
            "where": "x.onnx",
            "why": "empty",
            "hint": "export it",
            "exit_code": 3,
        },
    }
    assert failed({}, NothingToPruneError("none"))["status"] == "nothing-to-prune"


@pytest.mark.parametrize(("count", "most"), [(0, 5), (5, 5), (6, 5), (2001, 500)])
def test_a_thinned_list_keeps_its_ends(count: int, most: int) -> None:
    items = list(range(count))
    kept = thinned(items, most)
    assert len(kept) == min(count, most)
    assert kept == sorted(set(kept))
    assert (kept[:1], kept[-1:]) == (items[:1], items[-1:])
