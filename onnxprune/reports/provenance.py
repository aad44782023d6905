"""What a report rests on: hashes of what went in, versions, the machine."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from hashlib import file_digest, sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from onnxprune.errors import UsageError
from onnxprune.ir.model import Model
from onnxprune.runtime import build_info

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
    hashes = {
        name: {"path": str(model.path) if model.path else None, "sha256": model.sha256}
        for name, model in models.items()
    }
    for name, source in (files or {}).items():
        if source is not None:
            hashes[name] = {"path": str(source), "sha256": hash_of_files(Path(source))}
    return {
        "inputs": hashes,
        "versions": {"python": platform.python_version(), **_versions(_PACKAGES)},
        "machine": build_info(),
        "settings": settings,
    }


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


def _versions(packages: Iterable[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None  # it runs from a source tree
    return found
