"""Verdicts as JUnit XML: what passes, fails, and what cannot be told."""

from typing import Any
from xml.etree import ElementTree

import pytest

from onnxprune.errors import CheckFailedError, ModelError, OnnxPruneError
from onnxprune.reports.junit import junit_xml
from onnxprune.reports.record import failed

SPEED = {
    "ratio": 0.9, "low": 0.8, "high": 0.95, "verdict": "slower", "noise": [0.99, 1.01],
    "pairs": 100, "provider": "cpu", "threads": 1,
}  # fmt: skip
PROOF = {"verdict": "passed", "compared": 42, "max_rel": 1e-6, "why": ""}


def suite_of(record: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(junit_xml(record))


def outcomes(record: dict[str, Any]) -> dict[str | None, str]:
    cases = suite_of(record).iter("testcase")
    tags = {case.get("name"): [child.tag for child in case] for case in cases}
    return {name: next((t for t in found if t != "system-out"), "") for name, found in tags.items()}


def test_each_verdict_is_a_case() -> None:
    assert outcomes({"equivalence": PROOF, "speedup": SPEED}) == {
        "equivalence": "",
        "speed": "failure",
    }
    doubt = {**PROOF, "verdict": "cannot tell", "why": "no input reacts"}
    assert outcomes({"equivalence": doubt}) == {"equivalence": "error"}
    totals = suite_of({"equivalence": PROOF, "speedup": SPEED})
    assert (totals.get("tests"), totals.get("failures"), totals.get("errors")) == ("2", "1", "0")


def test_each_batch_is_a_case() -> None:
    batches = [{"batch": size, "speedup": SPEED} for size in (1, 8)]
    found = outcomes({"speedup": SPEED, "batches": batches})
    assert list(found) == ["speed, batch 1", "speed, batch 8"]


@pytest.mark.parametrize(
    ("error", "tag"), [(CheckFailedError("no", why="x"), "failure"), (ModelError("bad"), "error")]
)
def test_an_error_is_a_case_of_its_own(error: OnnxPruneError, tag: str) -> None:
    assert outcomes(failed({}, error)) == {"run": tag}
    (case,) = suite_of(failed({}, error)).iter(tag)
    assert str(case.get("message")).startswith(error.message)


def test_an_error_that_a_verdict_tells_of_is_no_second_case() -> None:
    wrong = {**PROOF, "verdict": "failed", "why": "they differ"}
    record = failed({"equivalence": wrong}, CheckFailedError("not the same"))
    assert outcomes(record) == {"equivalence": "failure"}


def test_a_run_without_verdicts_passes() -> None:
    assert outcomes({"status": "pruned"}) == {"run": ""}


def test_control_characters_do_not_break_the_document() -> None:
    assert outcomes(failed({}, ModelError("a\x00b"))) == {"run": "error"}
