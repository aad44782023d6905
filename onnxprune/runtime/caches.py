"""Where measurements are kept."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = "ONNXPRUNE_CACHE"
"""Environment variable that names another folder; empty for none."""


def cache_folder() -> Path | None:
    """The folder for what is measured; None if the user wants none. It may not be there yet."""
    named = os.environ.get(_FOLDER)
    if named == "":
        return None
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(caches) / "onnxprune"
