"""Profiles are read, and sessions make them; how long anything takes is not looked at."""

from typing import Any

import numpy as np
import pytest

from onnxprune.errors import RuntimeFailureError
from onnxprune.runtime import Profile, Session
from onnxprune.runtime.profile import FUSED, read_profile
from tests.texts import proto_of

BRANCH = proto_of(
    """g (bool c, float[4] x) => (float[4] y) {
        y = If (c) <
            then_branch = then () => (float[4] a) { a = Exp(x) },
            else_branch = otherwise () => (float[4] b) { b = Sqrt(x) }
        >
    }""",
    {},
).SerializeToString()
X = np.ones(4, dtype=np.float32)


def run(start_us: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "tid": 1, "ts": start_us, "dur": 100}


def node(start_us: int, duration_us: int, operator: str, **arguments: str) -> dict[str, Any]:
    name = arguments.pop("name", operator.lower())
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "tid": 1,
        "ts": start_us,
        "dur": duration_us,
        "args": {"provider": "CPUExecutionProvider", "op_name": operator, **arguments},
    }


def test_times_are_medians_over_the_runs() -> None:
    events = [run(0), node(1, 10, "Conv"), node(11, 4, "Conv"), node(15, 30, "Relu")]
    events += [run(100), node(101, 20, "Conv"), node(121, 10, "Relu")]
    events += [run(200), node(201, 90, "Conv"), node(291, 9, "Relu")]
    profile = read_profile(events)
    assert profile == Profile({"CPUExecutionProvider": {"Conv": 0.02, "Relu": 0.01}}, 3)


def test_first_runs_are_left_out() -> None:
    events = [run(100), node(101, 20, "Conv"), run(0), node(1, 999, "Conv")]
    assert read_profile(events, skip=1).times_ms == {"CPUExecutionProvider": {"Conv": 0.02}}
    assert read_profile(events, skip=2) == Profile()


def test_kernels_are_told_by_their_names() -> None:
    events = [run(0), node(1, 10, "Conv"), node(20, 4, "Relu"), run(100), node(101, 20, "Conv")]
    kernels = read_profile(events).kernels_us
    assert {operator: time_us for (_, operator), time_us in kernels.items()} == {
        "Conv": 15,
        "Relu": 2,
    }
    assert all(not name.endswith("_kernel_time") for name, _ in kernels)


def test_what_runs_inside_a_node_counts_once() -> None:
    events = [run(0), node(1, 40, "If"), node(1, 10, "Exp"), node(11, 20, "Loop")]
    events += [node(12, 5, "Add"), node(41, 7, "Relu")]
    expected = {"If": 0.01, "Exp": 0.01, "Loop": 0.015, "Add": 0.005, "Relu": 0.007}
    assert read_profile(events).times_ms["CPUExecutionProvider"] == pytest.approx(expected)


def test_providers_are_told_apart_and_fused_nodes_named() -> None:
    name = "OpenVINOExecutionProvider_OpenVINO-EP-subgraph_1_0"
    fused = node(1, 30, "OpenVINO-EP-subgraph_1", name=name, provider="OpenVINOExecutionProvider")
    profile = read_profile([run(0), fused, node(40, 10, "Unique"), node(50, 10, FUSED)])
    assert profile.by_provider == {"OpenVINOExecutionProvider": 0.03, "CPUExecutionProvider": 0.02}
    assert profile.by_operator == {FUSED: 0.04, "Unique": 0.01}


def test_a_session_profiles_its_operators() -> None:
    session = Session(BRANCH, optimization="none")
    profile = session.profile({"c": np.array(True), "x": X}, runs=3)
    assert profile.runs == 3
    assert set(profile.by_operator) == {"If", "Exp"}
    assert set(profile.by_provider) == {"CPUExecutionProvider"}


def test_a_profile_of_a_run_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeFailureError, match="cannot run the model"):
        Session(BRANCH).profile({"x": X})
