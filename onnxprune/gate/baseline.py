"""The last release's measurements, and whether a candidate is worse.

{"schema": 1, "processor": "…", "checks": {NAME: {"measured": …, "better": …, "unit": …}}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from onnxprune.errors import UsageError
from onnxprune.files import write_text
from onnxprune.gate.checks import VERSION, Check, Verdict, bounded
from onnxprune.gate.policy import Policy
from onnxprune.runtime.describe import cpu_name

SCHEMA = 1
"""Version of the format."""
_TIME = "ms"
"""Unit of what can be compared on one processor only."""
_SHARES = ("share", "cosine")
"""Units of what is worse by a difference, and not by a share of itself."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Measurements of the last release.

    Attributes:
        path: the file.
        tolerance: by what share a number may be worse; of shares, by what difference.
        processor: what they were made on; "" of a baseline that is to be written.
        known: measured numbers, by the name of the check.
        replaced: whether the file is to be written anew; then nothing is compared with it.
    """

    path: Path
    tolerance: float
    processor: str
    known: dict[str, float]
    replaced: bool

    @classmethod
    def of(cls, policy: Policy, replaced: bool) -> Self | None:
        """The baseline of a policy, if it has one.

        Raises:
            UsageError: the file is not there, or is none.
        """
        rule = policy.baseline
        if rule is None:
            return None
        path = policy.path(rule.file)
        if replaced:
            return cls(path, rule.tolerance, "", {}, replaced)
        try:
            document: Any = json.loads(path.read_text(encoding="utf-8"))
            if document["schema"] != SCHEMA:
                raise ValueError(f"schema {document['schema']}")
            checks = cast(dict[str, dict[str, Any]], document["checks"])
            known = {name: float(check["measured"]) for name, check in checks.items()}
            return cls(path, rule.tolerance, str(document["processor"]), known, replaced)
        except FileNotFoundError as error:
            hint = "--update-baseline writes it, from a candidate that passes"
            raise UsageError("there is no baseline yet", where=str(path), hint=hint) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                "the baseline cannot be read", where=str(path), why=repr(error)
            ) from error

    def compared(self, checks: Sequence[Check]) -> tuple[list[Check], list[str]]:
        """Checks against the last release, and what to say beside them.

        A number fails if all of its interval is worse than what is granted.
        """
        made: list[Check] = []
        notes: list[str] = []
        if self.replaced:
            return made, notes
        for check in checks:
            if check.name not in self.known or check.measured is None:
                continue
            if check.unit == _TIME and self.processor != cpu_name():
                notes.append(f"{check.name}: the baseline is of another processor")
                continue
            made.append(self._against(check, self.known[check.name], check.measured))
        missing = sorted(self.known.keys() - {check.name for check in checks})
        notes += [f"the baseline knows {name!r}, and the policy does not" for name in missing]
        return made, notes

    def _against(self, check: Check, known: float, measured: float) -> Check:
        granted = self.tolerance * (1.0 if check.unit in _SHARES else abs(known))
        limit = known - granted if check.better == "higher" else known + granted
        ends = (*(check.interval or ()), measured)
        return bounded(
            f"no worse than the baseline: {check.name}",
            measured,
            limit,
            check.better,
            # What is measured within the limit passes; a doubt only excuses what is not.
            interval=(measured, max(ends) if check.better == "higher" else min(ends)),
            unit=check.unit,
            why=f"it was {known:.6g}",
        )

    def updated(self, verdict: Verdict, checks: Iterable[Check], candidate: str) -> str:
        """Write what was measured if everything passed; say what was done.

        Args:
            verdict: of all checks.
            checks: with what was measured.
            candidate: hash of the model that it is about.

        Raises:
            WriteError: the file cannot be written.
        """
        if verdict != "pass":
            return f"{self.path.name} stays as it is: the verdict is {verdict}"
        known = {
            check.name: {"measured": check.measured, "better": check.better, "unit": check.unit}
            for check in checks
            if check.measured is not None and math.isfinite(check.measured)
            if check.better and check.unit != VERSION
        }
        document = {
            "schema": SCHEMA,
            "candidate": candidate,
            "processor": cpu_name(),
            "checks": known,
        }
        write_text(self.path, json.dumps(document, indent=1) + "\n")
        return f"{self.path.name} is written"
