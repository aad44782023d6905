"""The last release's measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onnxprune.errors import UsageError
from onnxprune.gate import judge
from onnxprune.gate.baseline import Baseline
from onnxprune.gate.checks import Check
from onnxprune.gate.policy import Policy
from onnxprune.runtime.describe import cpu_name
from tests.gate.conftest import policy_of

TEXT = '[cost]\nparams = 0.9\nmacs = 0.9\n[baseline]\nfile = "baseline.json"\ntolerance = 0.05\n'


def test_there_is_none_at_first(release: Path) -> None:
    path = policy_of(release, TEXT)
    with pytest.raises(UsageError, match="--update-baseline"):
        judge(path)
    judgement = judge(path, update_baseline=True)
    assert (judgement.verdict, "written" in judgement.notes[-1]) == ("pass", True)
    names = [check.name for check in judge(path).checks]
    assert names[2:] == ["no worse than the baseline: params", "no worse than the baseline: macs"]


def test_what_fails_does_not_become_the_baseline(release: Path) -> None:
    path = policy_of(release, TEXT.replace("0.9", "0.1"))
    judgement = judge(path, update_baseline=True)
    assert (judgement.verdict, "stays as it is" in judgement.notes[-1]) == ("fail", True)
    assert not (release / "baseline.json").exists()


def test_what_is_worse_fails(release: Path) -> None:
    path = policy_of(release, TEXT)
    judge(path, update_baseline=True)
    document = json.loads((release / "baseline.json").read_text())
    document["checks"]["params"]["measured"] *= 0.9
    document["checks"]["gone"] = {"measured": 1, "better": "lower", "unit": ""}
    (release / "baseline.json").write_text(json.dumps(document))
    judgement = judge(path)
    failed = [check for check in judgement.checks if check.verdict == "fail"]
    assert [check.name for check in failed] == ["no worse than the baseline: params"]
    assert "it was" in failed[0].why
    assert any("'gone'" in note for note in judgement.notes)


def test_a_policy_without_a_baseline_has_none_to_update(release: Path) -> None:
    with pytest.raises(UsageError, match="no baseline"):
        judge(policy_of(release, "[cost]\nmacs = 0.9"), update_baseline=True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}'])
def test_a_damaged_baseline_is_refused(release: Path, content: str) -> None:
    path = policy_of(release, TEXT)
    (release / "baseline.json").write_text(content)
    with pytest.raises(UsageError, match="cannot be read"):
        judge(path)


def baseline_of(folder: Path, processor: str, **checks: float) -> Baseline:
    known = {name: {"measured": value, "better": "", "unit": ""} for name, value in checks.items()}
    document: dict[str, Any] = {"schema": 1, "processor": processor, "checks": known}
    (folder / "b.json").write_text(json.dumps(document))
    policy = Policy.of(
        {"cost": {"macs": 0.5}, "baseline": {"file": "b.json", "tolerance": 0.1}}, folder=folder
    )
    made = Baseline.of(policy, replaced=False)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (Check("x", "pass", 1.85, (1.8, 1.9), 1, "higher", "x"), "pass"),
        (Check("x", "pass", 1.75, (1.7, 1.85), 1, "higher", "x"), "cannot tell"),
        (Check("x", "pass", 1.75, (1.7, 1.78), 1, "higher", "x"), "fail"),
        (Check("x", "pass", 2.15, None, 9, "lower", "bytes"), "pass"),
        (Check("x", "pass", 2.25, None, 9, "lower", "bytes"), "fail"),
        (Check("x", "pass", 1.91, None, 0, "higher", "share"), "pass"),
        (Check("x", "pass", 1.89, None, 0, "higher", "share"), "fail"),
    ],
)
def test_how_much_worse_a_number_may_be(tmp_path: Path, check: Check, verdict: str) -> None:
    made, _ = baseline_of(tmp_path, "", x=2.0).compared([check])
    assert [found.verdict for found in made] == [verdict]


def test_latencies_of_other_processors_are_not_compared(tmp_path: Path) -> None:
    check = Check("x", "pass", 2.0, None, 9, "lower", "ms")
    made, notes = baseline_of(tmp_path, "an abacus", x=2.0).compared([check])
    assert (made, len(notes)) == ([], 1)
    made, notes = baseline_of(tmp_path, cpu_name(), x=2.0).compared([check])
    assert ([found.verdict for found in made], notes) == (["pass"], [])
