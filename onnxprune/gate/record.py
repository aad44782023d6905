"""A judgement as a record: what the terminal, JSON and JUnit XML show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from onnxprune.data.user_code import is_function_name
from onnxprune.gate.judge import Judgement
from onnxprune.reports.provenance import provenance

SCHEMA = 1
"""Version of the record's format, `onnxprune/gate/gate.schema.json`."""


def record_of(judgement: Judgement) -> dict[str, Any]:
    """The record of a judgement.

    Raises:
        UsageError: data or the plan cannot be read any more.
        ModelError: a model changed since it was loaded.
    """
    policy = judgement.policy
    files: dict[str, Any] = {}
    if policy.equivalence is not None:
        files["plan"] = policy.path(policy.equivalence.plan)
    if policy.baseline is not None:
        files["baseline"] = policy.path(policy.baseline.file)
    files |= {f"data {name}": policy.source(name) for name in policy.data}
    origins = provenance(
        {"original": judgement.original, "candidate": judgement.candidate},
        {name: source for name, source in files.items() if not is_function_name(str(source))},
        seed=policy.seed,
        providers=[rule.provider for rule in policy.speed],
        functions=[s for s in files.values() if is_function_name(str(s))],
    )
    if policy.sha256:
        origins["inputs"]["policy"] = {"path": policy.file, "sha256": policy.sha256}
    return {
        "schema": SCHEMA,
        "status": "judged",
        "verdict": judgement.verdict,
        "checks": [asdict(check) for check in judgement.checks],
        "notes": list(judgement.notes),
        "provenance": origins,
    }
