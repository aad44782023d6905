"""Writes a model, so that what stood there before survives every failure.

A new file is written beside its target and renamed over it, which the operating system
does as one step. Weights go out one at a time: neither a second model nor a complete file
is ever put together in memory.
"""

import errno
import logging
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import onnx

from onnxprune.errors import WriteError
from onnxprune.ir.encode import chunks, complete, inline_bytes, paired, restore_names, serialize
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import Tensor
from onnxprune.progress import track

_LOG = logging.getLogger(__name__)

EXTERNAL_THRESHOLD_BYTES: Final = 1_900_000_000
"""Of a larger model weights are written as external data: a protobuf message ends at 2 GB."""

# Smaller ones stay in the model file, where shape inference finds them.
_EXTERNAL_MIN_BYTES: Final = 1024
# Whole pages can be mapped into memory as they are; small tensors are not worth the gaps.
_PAGE_BYTES: Final = 4096
_LINE_BYTES: Final = 64

_NEW_FILE: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)
_HINTS: Final = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some of your quota, or write to another disk",
    errno.EFBIG: "the limit on file sizes is too low for the model",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that is not read-only",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def save(model: Model, path: str | os.PathLike[str], *, external: bool | None = None) -> None:
    """Writes a model to a file, and its weights to `NAME.onnx.data` where asked for.

    Files are replaced as a whole; a symbolic link is replaced, not followed. On any
    failure, an interruption included, what stood there before is intact. No other file is
    touched.

    Args:
        model: The model; not changed.
        path: The file to write.
        external: Whether weights go to a file of their own. By default they do if they
            did in the input, or if one file cannot hold them.

    Raises:
        WriteError: The files cannot be written.
        ModelError: External data of the input cannot be read, or one file was asked for
            that would exceed 2 GB.
        InternalError: Structure and constants of the model do not agree.
    """
    target = Path(os.path.abspath(path))
    if external is None:
        external = model.external or inline_bytes(model) > EXTERNAL_THRESHOLD_BYTES
    large = _large_tensors(model) if external else {}
    try:
        _check_target(target)
        if large:
            data_target = target.with_name(target.name + ".data")
            _check_target(data_target)
            _save_two(model, large, target, data_target)
        else:
            _save_one(model, target)
        _LOG.info("wrote %s%s", target, f", weights to {target.name}.data" if large else "")
    except OSError as error:
        raise WriteError(
            "the model could not be written",
            where=str(target),
            why=error.strerror or str(error),
            hint=_HINTS.get(error.errno or 0, "") or "what stood there before is unchanged",
        ) from error


def _large_tensors(model: Model) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in model.constants.items()
        if tensor.nbytes >= _EXTERNAL_MIN_BYTES and tensor.elem_type != onnx.TensorProto.STRING
    }


def _save_one(model: Model, target: Path) -> None:
    with _temporary(target.parent) as (path, file):
        pieces = chunks(model)
        file.writelines(track(pieces, "writing", 2 * len(model.constants) + 4))
        _finish(file)
        os.replace(path, target)


def _save_two(model: Model, large: dict[str, Tensor], target: Path, data_target: Path) -> None:
    folder = target.parent
    with _temporary(folder) as (data_path, data), _temporary(folder) as (path, file):
        structure = onnx.ModelProto()
        structure.CopyFrom(model.proto)
        pairs = zip(structure.graph.initializer, paired(model), strict=True)
        for written, (stub, tensor) in pairs:
            if stub.name in large:
                offset = _append(data, tensor)
                written.CopyFrom(_reference(stub, tensor, data_target.name, offset))
            else:
                written.CopyFrom(complete(stub, tensor))
        _finish(data)
        file.write(serialize(structure))
        _finish(file)
        with _keeping(data_target):
            os.replace(data_path, data_target)
            os.replace(path, target)


def _append(data: IO[bytes], tensor: Tensor) -> int:
    """Writes a tensor at the next aligned position, and returns that, in bytes."""
    unit = _PAGE_BYTES if tensor.nbytes >= _PAGE_BYTES else _LINE_BYTES
    data.write(b"\0" * (-data.tell() % unit))
    offset = data.tell()
    data.write(tensor.raw())
    return offset


def _reference(
    stub: onnx.TensorProto, tensor: Tensor, location: str, offset: int
) -> onnx.TensorProto:
    """Returns an initializer that refers to its data in another file."""
    proto = onnx.TensorProto(
        dims=tensor.shape,
        data_type=tensor.elem_type,
        data_location=onnx.TensorProto.EXTERNAL,
    )
    restore_names(proto, stub)
    entries = {"location": location, "offset": str(offset), "length": str(tensor.nbytes)}
    for key, value in entries.items():
        proto.external_data.add(key=key, value=value)
    return proto


def _check_target(target: Path) -> None:
    """Refuses targets that renaming would fail on late, or would do damage to."""
    parent = target.parent
    if not parent.is_dir():
        raise WriteError(
            "the folder to write to does not exist",
            where=str(parent),
            why="it is not a folder" if parent.exists() else "",
            hint=f"make it first: mkdir -p {parent}",
        )
    if target.is_dir():
        raise WriteError(
            "a folder stands where the model is to be written",
            where=str(target),
            hint="give the name of a file, such as model.onnx in that folder",
        )
    if target.exists() and not target.is_file():
        # Renaming over a device such as /dev/null would replace it for everyone.
        raise WriteError(
            "something other than a file stands where the model is to be written",
            where=str(target),
            hint="give the name of a file",
        )


@contextmanager
def _temporary(folder: Path) -> Generator[tuple[Path, IO[bytes]]]:
    """Opens a new file, which is gone at the end unless it was renamed."""
    path = _unused_name(folder)
    descriptor = os.open(path, _NEW_FILE, 0o666)
    try:
        with open(descriptor, "wb") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _keeping(target: Path) -> Generator[None]:
    """Puts a file back as it was, or away if there was none, unless all goes well."""
    backup = _unused_name(target.parent)
    existed = os.path.lexists(target)
    if existed:
        os.replace(target, backup)
    try:
        yield
    except BaseException:
        if existed:
            os.replace(backup, target)
        else:
            target.unlink(missing_ok=True)
        raise
    backup.unlink(missing_ok=True)


def _unused_name(folder: Path) -> Path:
    # Not derived from the target, whose name may already be as long as names can be.
    return folder / f".onnxprune-{secrets.token_hex(8)}.tmp"


def _finish(file: IO[bytes]) -> None:
    """Makes sure that the content is on disk before its name is, and closes the file."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
