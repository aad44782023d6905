"""What a report rests on: hashes of what went in, versions, the machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from hashlib import file_digest, sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from onnxprune.errors import OnnxPruneError, UsageError
from onnxprune.ir.model import Model
from onnxprune.runtime.describe import build_info, cpu_name

_PACKAGES = ("onnxprune", "onnx", "onnx-graphsurgeon", "numpy", "networkx")


def provenance(
    models: Mapping[str, Model],
    files: Mapping[str, str | Path | None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """What a report rests on, as part of its record.

    Args:
        models: by what they are to the report.
        files: other things that went in, likewise: files, folders, or functions by their names,
            which have no hash. What is None is left out.
        settings: seeds, providers, and what else decides about the result.

    Raises:
        UsageError: a file cannot be read.
        ModelError: a model changed since it was loaded.
    """
    loaded = {
        name: {"path": str(model.path) if model.path else None, "sha256": model.sha256}
        for name, model in models.items()
    }
    return {
        "inputs": loaded | hashes(files or {}),
        "versions": _all_versions(),
        "machine": build_info(),
        "settings": settings,
    }


def hashes(files: Mapping[str, str | Path | None]) -> dict[str, dict[str, str | None]]:
    """Files with their hashes, as they stand under ``inputs``; what is None is left out.

    Raises:
        UsageError: a file cannot be read.
    """
    return {
        name: {"path": str(source), "sha256": hash_of_files(Path(source))}
        for name, source in files.items()
        if source is not None
    }


def completed(known: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """What is known of what a run rests on that ended before it could say.

    Args:
        known: what it said; may be empty.
        files: what it was to read, by what it is to the report. Of what cannot be read there is no
            hash, and that of a model which was not loaded is without its external data.
    """
    inputs = known.get("inputs", {})
    others = {name: source for name, source in files.items() if name not in inputs}
    return {
        "inputs": {**inputs, **{name: _as_far(name, source) for name, source in others.items()}},
        "versions": known.get("versions") or _all_versions(),
        "machine": known.get("machine") or _machine(),
        "settings": known.get("settings", {}),
    }


def _as_far(name: str, source: str) -> dict[str, str | None]:
    try:
        return hashes({name: source})[name]
    except UsageError:
        return {"path": str(source), "sha256": None}


def _machine() -> dict[str, str]:
    try:
        return build_info()
    except OnnxPruneError:  # without ONNX Runtime, which may be what the run ended with
        return {"cpu": cpu_name(), "platform": platform.platform()}


def hash_of_files(path: Path) -> str | None:
    """The hash of a file, or of all files of a folder with their names; None if there is neither.

    Raises:
        UsageError: one cannot be read.
    """
    try:
        if path.is_file():
            return _digest(path)
        if not path.is_dir():
            return None
        whole = sha256()
        for each in sorted(p for p in path.rglob("*") if p.is_file()):
            whole.update(f"{each.relative_to(path).as_posix()}\0{_digest(each)}\n".encode())
        return whole.hexdigest()
    except OSError as error:
        raise UsageError("a file cannot be read", where=str(path), why=str(error)) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _all_versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None  # it runs from a source tree
    return found
