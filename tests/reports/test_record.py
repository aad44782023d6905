"""The record: JSON, whatever stands in it."""

import json

import numpy as np

from onnxprune.errors import ModelError, NothingToPruneError
from onnxprune.passes.work import Refusal
from onnxprune.reports.record import blocked_entries, failed, plain, ratio


def test_plain_values_are_valid_json() -> None:
    record = {"a": np.float64(1.5), 2: (np.int64(3), float("nan")), "c": [float("-inf")], "d": None}
    text = json.dumps(plain(record), allow_nan=False)
    assert json.loads(text) == {"a": 1.5, "2": [3, None], "c": [None], "d": None}


def test_a_share_of_nothing_is_nothing() -> None:
    assert (ratio(1, 4), ratio(0, 0)) == (0.25, 0.0)


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
