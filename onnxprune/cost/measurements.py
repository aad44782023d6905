"""Measurements that are kept on disk, for one machine and one build of ONNX Runtime."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import cast

from onnxprune.runtime.caches import cache_folder
from onnxprune.runtime.describe import build_info

_LOG = logging.getLogger(__name__)


class Measurements:
    """Latencies in milliseconds by key; what is broken or cannot be written is done without."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read what is known on this machine.

        Args:
            folder: where to keep them; by default that of the user's caches.
        """
        self._path = _path(folder)
        self._times: dict[str, float] = {}
        self._is_new = False
        try:
            text = self._path.read_text(encoding="utf-8") if self._path is not None else "{}"
            found = json.loads(text)
        except (OSError, ValueError):
            found = {}
        entries = cast(dict[str, object], found) if isinstance(found, dict) else {}
        self._times.update(
            (key, float(value)) for key, value in entries.items() if isinstance(value, int | float)
        )
        _LOG.debug("%d latencies known from %s", len(self._times), self._path)

    def __contains__(self, key: object) -> bool:
        """Whether something is known."""
        return key in self._times

    def __getitem__(self, key: str) -> float:
        """What is known."""
        return self._times[key]

    def __setitem__(self, key: str, value: float) -> None:
        """Learn something."""
        self._times[key] = value
        self._is_new = True

    def save(self) -> None:
        """Write what was learnt; another process may have written meanwhile."""
        if self._path is None or not self._is_new:
            return
        times = {**Measurements(self._path.parent)._times, **self._times}
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(times), encoding="utf-8")
            beside.replace(self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        self._is_new = False


def _path(folder: Path | None) -> Path | None:
    folder = cache_folder() if folder is None else folder
    if folder is None:
        return None
    info = build_info()
    machine = "|".join(info[key] for key in ("onnxruntime", "providers", "cpu", "platform"))
    return folder / f"latency-{sha256(machine.encode()).hexdigest()[:16]}.json"
