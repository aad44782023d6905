"""Timed runs run as often as asked; how long they take is not looked at."""

import numpy as np
import onnx.parser
import pytest

from onnxprune.errors import RuntimeFailureError
from onnxprune.runtime import Session, TimedRun
from onnxprune.runtime.binding import load_onnxruntime
from onnxprune.runtime.timing import bound_run

RELU = onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Relu(x) }'
).SerializeToString()
NAMES = onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["": 17]> g (string[N] x) => (string[N] y) { y = Identity(x) }'
).SerializeToString()
X = np.ones(4, dtype=np.float32)


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_timed_run_runs_as_often_as_asked(repeats: int) -> None:
    calls: list[str] = []
    assert TimedRun(lambda: calls.append("run"), "nowhere").time_ns(repeats) >= 0
    assert calls == ["run"] * repeats


def test_a_session_times_its_runs() -> None:
    assert Session(RELU).timed({"x": X}).time_ns(3) >= 0


def test_strings_can_be_timed() -> None:
    assert Session(NAMES).timed({"x": np.array(["a", "b"])}).time_ns() >= 0


def test_a_run_that_fails_names_the_model() -> None:
    run = Session(RELU).timed({"x": X.astype(np.int8)})
    with pytest.raises(RuntimeFailureError, match="cannot run the model") as caught:
        run.time_ns()
    assert caught.value.where == f"{len(RELU)} bytes in memory"


def test_bound_inputs_and_outputs_can_be_timed() -> None:
    inner = load_onnxruntime().InferenceSession(RELU, providers=["CPUExecutionProvider"])
    assert TimedRun(bound_run(inner, {"x": X}, ["y"], "cpu"), "nowhere").time_ns(2) >= 0


def test_binding_an_input_that_does_not_exist_fails() -> None:
    inner = load_onnxruntime().InferenceSession(RELU, providers=["CPUExecutionProvider"])
    with pytest.raises(RuntimeError):
        bound_run(inner, {"q": X}, ["y"], "cpu")
