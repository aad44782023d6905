"""Timed runs run as often as asked; how long they take is not looked at."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onnxprune.errors import RuntimeFailureError
from onnxprune.runtime import Session, TimedRun
from onnxprune.runtime.binding import InferenceSession, load_onnxruntime
from onnxprune.runtime.timing import bound_run
from tests.texts import proto_of

RELU = proto_of("g (float[N] x) => (float[N] y) { y = Relu(x) }", {}).SerializeToString()
NAMES = proto_of("g (string[N] x) => (string[N] y) { y = Identity(x) }", {}).SerializeToString()
X = np.ones(4, dtype=np.float32)


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_timed_run_runs_as_often_as_asked(repeats: int) -> None:
    calls: list[str] = []
    assert TimedRun(lambda: calls.append("run"), "nowhere").time_ns(repeats) >= 0
    assert calls == ["run"] * repeats


def test_a_session_times_its_runs() -> None:
    assert Session(RELU).timed({"x": X}).time_ns(3) > 0


def test_strings_can_be_timed() -> None:
    assert Session(NAMES).timed({"x": np.array(["a", "b"])}).time_ns() > 0


def test_a_run_that_fails_names_the_model() -> None:
    run = Session(RELU).timed({"x": X.astype(np.int8)})
    with pytest.raises(RuntimeFailureError, match="cannot run the model") as caught:
        run.time_ns()
    assert caught.value.where == f"{len(RELU)} bytes in memory"


@pytest.fixture
def inner() -> InferenceSession:
    """ONNX Runtime's own session."""
    return load_onnxruntime().InferenceSession(RELU, providers=["CPUExecutionProvider"])


def test_what_is_bound_runs_as_often_as_asked(
    inner: InferenceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[list[float]] = []
    run: Callable[..., None] = inner.run_with_iobinding

    def watched(binding: Any) -> None:
        run(binding)
        made.extend(array.tolist() for array in binding.copy_outputs_to_cpu())

    monkeypatch.setattr(inner, "run_with_iobinding", watched)
    TimedRun(bound_run(inner, {"x": X}, ["y"], "cpu"), "nowhere").time_ns(2)
    assert made == [X.tolist()] * 2


def test_binding_an_input_that_does_not_exist_fails(inner: InferenceSession) -> None:
    with pytest.raises(RuntimeError, match="name: q"):
        bound_run(inner, {"q": X}, ["y"], "cpu")
