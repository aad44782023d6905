"""Policies are read strictly: what is not understood would never be checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxprune.errors import UsageError
from onnxprune.gate.policy import Policy

FULL = """
schema = 1
seed = 3
input_shapes = { x = [1, 3, 8, 8] }

[equivalence]
plan = "plan.json"
tolerance = "float16=0.05"

[structure]
metadata_kept = true
max_opset = 21
operators = ["Conv", "Relu"]

[cost]
macs = 0.5
size = "5MB"

[data.test]
source = "test.npz"
labels = "label"

[data.live]
source = "my_module:samples"
batch = 0

[[fidelity]]
data = "live"
min_cosine = 1

[[metric]]
name = "top1"
data = "test"
max_drop = 0.01

[[speed]]
provider = "cpu"
min_speedup = 1.3

[[speed]]
provider = "cuda:device_id=1"
batch = 8
max_latency_ms = 4

[baseline]
file = "baseline.json"
"""


def load(folder: Path, text: str) -> Policy:
    path = folder / "policy.toml"
    path.write_text(text)
    return Policy.load(path)


def test_a_full_policy(tmp_path: Path) -> None:
    policy = load(tmp_path, FULL)
    assert policy.input_shapes == {"x": (1, 3, 8, 8)}
    assert policy.cost is not None
    assert [(t.quantity, t.value) for t in policy.cost.targets] == [("macs", 0.5), ("size", 5e6)]
    assert [rule.provider for rule in policy.speed] == ["cpu", "cuda:device_id=1"]
    assert policy.fidelity[0].min_cosine == 1.0
    assert policy.source("test") == str(tmp_path / "test.npz")
    assert policy.source("live") == "my_module:samples"
    assert policy.path("plan.json") == tmp_path / "plan.json"
    assert len(policy.sha256) == 64


def test_a_policy_at_hand() -> None:
    assert Policy.of({"cost": {"macs": 0.5}}).path("a") == Path.cwd() / "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "asks for nothing"),
        ("schema = 2", "schema 2"),
        ("equivalance = 1", "did you mean 'equivalence'"),
        ("[[sped]]", "did you mean 'speed'"),
        ("[equivalence]\nplan = 1", "1 makes no sense"),
        ("[equivalence]\ntolerance = '0.1'", "plan is missing"),
        ("[equivalence]\nplan = 'p'\ntolerance = 'x'", "is no tolerance"),
        ("[equivalence]\nplan = 'p'\ndata = 'test'", "no data set 'test'"),
        ("[structure]\nmax_opsett = 1", "did you mean 'max_opset'"),
        ("[structure]\nmetadata_kept = 1", "1 makes no sense"),
        ("[structure]\noperators = [1]", "makes no sense"),
        ("[cost]\nmacs = 'lots'", "no target for macs"),
        ("[cost]\nlatency = 0.5", "no setting 'latency'"),
        ("speed = 1", "write [[speed]]"),
        ("[speed]", "write [[speed]]"),
        ("[[speed]]", "asks for nothing"),
        ("[[speed]]\nmin_speedup = true", "makes no sense"),
        ("[[speed]]\nmax_latency_ms = 1\npercentile = 42", "50, 90, 99"),
        ("[[speed]]\nmin_speedup = 1.2\nbatch = 0", "batch is 1 or more"),
        ("[[fidelity]]", "asks for nothing"),
        ("[[fidelity]]\nmin_cosine = 0.9\ndata = 'x'", "no data set 'x'"),
        ("[[metric]]\nname = 'top1'\ndata = 'x'\nmin = 1", "did you mean 'minimum'"),
        ("[[metric]]\nname = 'top2'\ndata = 'x'\nminimum = 1", "no metric 'top2'"),
        ("[[metric]]\nname = 'top1'\ndata = 'x'", "asks for nothing"),
        (
            "[data.x]\nsource = 'x.npz'\n[[metric]]\nname = 'top1'\ndata = 'x'\nminimum = 0.5",
            "needs labels",
        ),
        ("[data.x]\nsource = 'x.npz'\nsamples = -1", "samples and batch"),
        ("data = 3", "this is a table"),
        ("[cost]\nmacs = 0.5\n[baseline]\nfile = 'b'\ntolerance = 2", "write a share"),
        ("input_shapes = { x = 3 }", "is no shape"),
        ("original = 3", "makes no sense"),
        ("= 3", "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert "policy.toml" in caught.value.where


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Policy.load(tmp_path / "none.toml")
