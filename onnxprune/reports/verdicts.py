"""What a run says yes or no to, as checks: those of a gate, or the verdicts of another command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnxprune.errors import CheckFailedError
from onnxprune.reports.gate import measured_text
from onnxprune.reports.terminal import speedup_sentence

Check = Mapping[str, Any]
"""``name``, ``verdict`` (pass, fail, error, cannot tell), ``said``: what there is to say of it."""

RUN = "run"
"""The check that a run came to its end."""
_VERDICTS = {
    "passed": "pass",
    "failed": "fail",
    "faster": "pass",
    "slower": "fail",
    "cannot tell": "cannot tell",
}


def checks_of(record: Mapping[str, Any]) -> list[Check]:
    """The checks of a run; one at least.

    An error that no other check tells of is a check of its own, `RUN`.

    Args:
        record: of any command.
    """
    if "checks" in record:
        return [{**check, "said": _said_of(check)} for check in record["checks"]]
    found = [*_equivalence(record), *_speed(record)]
    error = record.get("error")
    if error is not None and all(check["verdict"] == "pass" for check in found):
        verdict = "fail" if error["exit_code"] == CheckFailedError.exit_code else "error"
        found.insert(0, {"name": RUN, "verdict": verdict, "said": _of_error(error)})
    return found or [{"name": RUN, "verdict": "pass", "said": ""}]


def _equivalence(record: Mapping[str, Any]) -> Iterator[Check]:
    if "equivalence" not in record:
        return
    found = record["equivalence"]
    said = found["why"] or (
        f"{found['compared']:,} tensors compared with the masked original, largest deviation "
        f"{found['max_rel']:.1e} of a tensor's variation"
        if found["compared"]
        else ""
    )
    yield {"name": "equivalence", "verdict": _VERDICTS[found["verdict"]], "said": said}


def _speed(record: Mapping[str, Any]) -> Iterator[Check]:
    batches = record.get("batches", [{"batch": None, **record}] if "speedup" in record else [])
    for entry in batches:
        found = entry["speedup"]
        name = "speed" if entry["batch"] is None else f"speed, batch {entry['batch']}"
        ratio = speedup_sentence(found).removeprefix(f"{found['verdict']}: ")
        said = f"{ratio}; {found['provider']}, {found['pairs']:,} pairs of runs"
        yield {"name": name, "verdict": _VERDICTS[found["verdict"]], "said": said}


def _said_of(check: Mapping[str, Any]) -> str:
    """What a gate measured, and why that is not enough."""
    return "; ".join(part for part in (measured_text(check), check["why"]) if part)


def _of_error(error: Mapping[str, Any]) -> str:
    parts = (error.get(part) for part in ("message", "where", "why", "hint"))
    return "; ".join(part for part in parts if part)
