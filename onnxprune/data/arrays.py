"""Named arrays in one file: what training frameworks save."""

from __future__ import annotations

import pickle
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from onnxprune.errors import UsageError

_TORCH = (".pt", ".pth", ".bin", ".ckpt")


def named_arrays(path: Path) -> dict[str, Any]:
    """Read the arrays of an ``.npz``, a ``.safetensors`` or a PyTorch file.

    The latter two need the package that writes them. Of a PyTorch file only tensors are read, no
    code is run.

    Raises:
        UsageError: the file cannot be read, or the package is not installed.
    """
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path))
    try:
        if path.suffix == ".npz":
            if not zipfile.is_zipfile(path):
                raise ValueError("it is no ZIP archive, as .npz files are")
            with np.load(path, allow_pickle=False) as arrays:
                return {str(name): arrays[name] for name in arrays}
        if path.suffix == ".safetensors":
            return dict(_package("safetensors.numpy", path).load_file(path))
        if path.suffix in _TORCH:
            return _state(_package("torch", path).load(path, map_location="cpu", weights_only=True))
    except (
        OSError,
        ValueError,
        RuntimeError,
        zipfile.BadZipFile,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        raise UsageError("the weights cannot be read", where=str(path), why=str(error)) from error
    raise UsageError(
        f"{path.suffix or 'this'} is no file of weights that can be read",
        where=str(path),
        hint=f"save them as .npz, .safetensors or {', '.join(_TORCH)}",
    )


def _package(name: str, path: Path) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise UsageError(
            f"{package} is not installed",
            where=str(path),
            hint=f"pip install {package}, or save the weights as .npz",
        ) from error


def _state(loaded: Any) -> dict[str, Any]:
    """The state dict in what PyTorch loaded; checkpoints often hold it among other things."""
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(cast(Any, loaded).get(key), dict):
            loaded = cast(Any, loaded)[key]
    if not isinstance(loaded, dict):
        raise ValueError(f"it holds a {type(loaded).__name__}, not tensors by name")
    entries = cast(dict[object, Any], loaded)
    return {str(name): value for name, value in entries.items() if hasattr(value, "shape")}
