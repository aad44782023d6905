"""External data, trusted only after looking: a model file may come from anyone.

A model names the files of its weights, and a hostile one names yours: `../.ssh/id_rsa`,
an absolute path, or a link to either. Only regular files inside the model's own folder
are read, none of them reached through a link (CVE-2022-25882, CVE-2024-27318,
CVE-2025-51480).
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from onnxprune.errors import ModelError
from onnxprune.ir.elements import packed_nbytes
from onnxprune.ir.tensors import ExternalTensor, FileStamp

_MAX_DIGITS = 18


def is_external(tensor: onnx.TensorProto) -> bool:
    """Says whether a tensor's data lies in another file.

    Args:
        tensor: Any tensor of a model.
    """
    return tensor.data_location == onnx.TensorProto.EXTERNAL


@dataclass(slots=True)
class ExternalData:
    """The files beside one model; looks at each of them once.

    Attributes:
        folder: Absolute path of the model's folder; None for a model that has none.
        used_bytes: Bytes of external data that the model uses, so far.
    """

    folder: Path | None
    used_bytes: int = 0
    _files: dict[str, tuple[Path, FileStamp]] = field(
        default_factory=dict[str, tuple[Path, FileStamp]], init=False
    )

    def open(self, tensor: onnx.TensorProto) -> ExternalTensor:
        """Returns a tensor's data as a constant to be read later.

        Args:
            tensor: A tensor for which `is_external` holds; its dims have been checked.

        Raises:
            ModelError: The file is missing, is none that the model may read, or does not
                hold what the tensor's shape and type ask for.
        """
        where = f"tensor {tensor.name!r}"
        if self.folder is None:
            raise ModelError(
                "a model in memory refers to external data",
                where=where,
                why="without a file there is no folder to find the data in",
                hint="give the path of the model file, or load it with its external data",
            )
        if tensor.data_type == onnx.TensorProto.STRING:
            raise ModelError("strings cannot be external data", where=where)
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if location not in self._files:
            self._files[location] = _find(self.folder, location, where)
        path, stamp = self._files[location]
        dims = tuple(tensor.dims)
        size = 1
        for dim in dims:
            size *= dim
        nbytes = packed_nbytes(tensor.data_type, size)
        offset = _number(entries.get("offset", "0"), "offset", where)
        length = _number(entries.get("length", str(nbytes)), "length", where)
        where = f"{where}, file {path}"
        if length != nbytes:
            raise ModelError(
                "external data does not have the length of its tensor",
                where=where,
                why=f"shape and type ask for {nbytes} bytes, the model says {length}",
            )
        if offset + length > stamp.size_bytes:
            raise ModelError(
                "external data is too short",
                where=where,
                why=f"bytes {offset} to {offset + length} of {stamp.size_bytes}",
                hint="the file may have been copied incompletely, or belong to another model",
            )
        self.used_bytes += nbytes
        return ExternalTensor(path, offset, dims, tensor.data_type, stamp)


def _number(text: str, key: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise ModelError(f"the {key} of external data is not a number", where=where, why=text[:80])
    return int(text)


def _find(folder: Path, location: str, where: str) -> tuple[Path, FileStamp]:
    """Follows a location from the model's folder, and refuses whatever could lead out."""
    # A backslash separates folders on Windows, where the same model may be opened too.
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or os.path.isabs(location) or parts[0] == "":
        raise _refused(location, where, "it must be a path relative to the model's folder")
    if ".." in parts or ":" in parts[0]:
        raise _refused(location, where, "it leads out of the model's folder")
    path = folder
    for part in parts:
        path = path / part
        status = _status(path, where)
        if stat.S_ISLNK(status.st_mode):
            raise _refused(location, where, f"{path} is a symbolic link")
    status = _status(path, where)
    if not stat.S_ISREG(status.st_mode):
        raise _refused(location, where, f"{path} is not a regular file")
    if status.st_nlink > 1:
        raise _refused(location, where, f"{path} has more than one name (a hard link)")
    return path, FileStamp.of(status)


def _status(path: Path, where: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as error:
        raise ModelError(
            "external data is missing",
            where=f"{where}, file {path}",
            why=error.strerror or str(error),
            hint="keep the data file beside the model, under the name that it was saved with",
        ) from error


def _refused(location: str, where: str, why: str) -> ModelError:
    return ModelError(
        f"external data at {location[:200]!r} is refused",
        where=where,
        why=why,
        hint="put a copy of the data file into the model's folder, if you trust the model",
    )
