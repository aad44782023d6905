"""What trials came to, kept on disk: a run that was interrupted goes on where it was."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from onnxprune.passes.measure.trials import Outcome
from onnxprune.runtime.caches import cache_folder

_LOG = logging.getLogger(__name__)


class Journal:
    """Outcomes by key, a line of a file each; what is broken or cannot be written is done without.

    Several processes may add to one file: a line is written at once.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        """Read what is known.

        Args:
            name: what was tried, and on what.
            folder: where to keep the file; by default that of the user's caches, if there is one.
        """
        folder = cache_folder() if folder is None else folder
        digest = sha256(name.encode()).hexdigest()[:32]
        self._path = None if folder is None else folder / f"trials-{digest}.jsonl"
        self._known: dict[str, Outcome] = {}
        text = ""
        if self._path is not None:
            with suppress(OSError, UnicodeDecodeError):
                text = self._path.read_text(encoding="utf-8")
        for line in text.splitlines():
            with suppress(ValueError, TypeError, KeyError):
                entry = cast(dict[str, Any], json.loads(line))
                scores = {str(k): float(v) for k, v in entry["scores"].items()}
                known = Outcome(float(entry["loss"]), float(entry["angle"]), scores)
                self._known[str(entry["key"])] = known
        _LOG.debug("%d outcomes known from %s", len(self._known), self._path)

    def __len__(self) -> int:
        """How many outcomes are known."""
        return len(self._known)

    def __contains__(self, key: object) -> bool:
        """Whether the outcome of a trial is known."""
        return key in self._known

    def __getitem__(self, key: str) -> Outcome:
        """What is known of a trial."""
        return self._known[key]

    def add(self, key: str, outcome: Outcome) -> None:
        """Learn an outcome, and write it down."""
        self._known[key] = outcome
        if self._path is None:
            return
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **asdict(outcome)}) + "\n")
