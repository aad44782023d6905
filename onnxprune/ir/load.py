"""Reads a model from a file or from memory, and refuses what cannot be handled."""

import logging
import os
from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from onnxprune.errors import ModelError
from onnxprune.ir.external import ExternalData, is_external
from onnxprune.ir.graph import sort_nodes
from onnxprune.ir.model import Model, Source, fill_stub
from onnxprune.ir.tensors import FileStamp, InlineTensor, Tensor
from onnxprune.ir.validate import (
    check_functions,
    check_structure,
    check_tensor,
    check_text,
    nested_tensors,
)

_LOG = logging.getLogger(__name__)

_MAX_PROTOBUF_BYTES: Final = (1 << 31) - 1

_FOREIGN: Final = (
    (0, b"version https://git-lfs", "it is a Git LFS pointer: fetch the file with `git lfs pull`"),
    (4, b"ORTM", "it is in ONNX Runtime's own format: give the .onnx file it was made from"),
    (4, b"TFL3", "it is a TensorFlow Lite model: convert it with tf2onnx"),
    (0, b"PK", "it is a ZIP archive, perhaps a PyTorch checkpoint: export it to ONNX first"),
    (0, b"\x80", "it is a Python pickle, perhaps a checkpoint: export it to ONNX first"),
    (0, b"\x89HDF", "it is an HDF5 file, perhaps a Keras model: convert it with tf2onnx"),
    (0, b"<", "it is HTML or XML, perhaps an error page: download the model again"),
    (0, b"{", "it is JSON: give the binary .onnx file"),
)


def load(source: str | os.PathLike[str] | onnx.ModelProto) -> Model:
    """Reads a model and checks it; weights in other files are checked but not read.

    Args:
        source: Path of an ONNX file, or a model in memory, which is copied.

    Returns:
        The model, split into structure and weights.

    Raises:
        ModelError: The file cannot be read, is no ONNX model, or is an invalid one; or
            its external data is missing, does not fit, or lies where it must not be read.
    """
    if isinstance(source, onnx.ModelProto):
        proto = onnx.ModelProto()
        proto.CopyFrom(source)
        return _split(proto, ExternalData(None), "the model in memory", None)
    path = Path(os.path.abspath(source))
    content, stamp = _read(path)
    proto = _parse(content, str(path))
    del content  # as large as the model, and not needed while it is checked
    model = _split(proto, ExternalData(path.parent), str(path), Source(path, stamp, 0))
    counts = len(model.proto.graph.node), len(model.constants), model.size_bytes
    _LOG.info("read %s: %d nodes, %d constants, %d bytes", path, *counts)
    return model


def load_bytes(content: bytes, where: str) -> Model:
    """Reads a model that is the content of a file, with all data inline.

    Args:
        content: The model.
        where: What to call it in messages.

    Raises:
        ModelError: It is no ONNX model, or an invalid one.
    """
    return _split(_parse(content, where), ExternalData(None), where, None)


def _read(path: Path) -> tuple[bytes, FileStamp]:
    if path.is_dir():
        raise ModelError(
            "a model file is needed, not a folder",
            where=str(path),
            hint="give the path of the .onnx file in it",
        )
    try:
        with path.open("rb") as file:
            stamp = FileStamp.of(os.fstat(file.fileno()))
            if stamp.size_bytes > _MAX_PROTOBUF_BYTES:
                raise ModelError(
                    "the model file is too large",
                    where=str(path),
                    why="an ONNX file is one protobuf message of at most 2 GB",
                    hint="export it with its weights as external data",
                )
            return file.read(), stamp
    except FileNotFoundError as error:
        raise ModelError(
            "there is no such model file",
            where=str(path),
            hint="check the path and the folder that the command runs in",
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError("the model cannot be read", where=str(path), why=str(error)) from error


def _parse(content: bytes, where: str) -> onnx.ModelProto:
    if not content:
        raise ModelError("the model file is empty", where=where, hint="export the model again")
    hint = next(
        (text for at, magic, text in _FOREIGN if content[at : at + len(magic)] == magic),
        "the file may be incomplete, or not be an ONNX model; compare its size with the original",
    )
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        raise ModelError(
            "the file is not an ONNX model", where=where, why=str(error), hint=hint
        ) from error
    if not proto.HasField("graph"):
        # Bytes of something else may happen to parse: unknown fields are legal protobuf.
        raise ModelError(
            "the file is not an ONNX model", where=where, why="it has no graph", hint=hint
        )
    return proto


def _split(proto: onnx.ModelProto, files: ExternalData, where: str, source: Source | None) -> Model:
    """Takes the weights out of `proto`, which becomes the structure; nothing is copied."""
    _check_header(proto, where)
    check_text(proto, where)
    tensors = list(proto.graph.initializer)
    del proto.graph.initializer[:]
    constants: dict[str, Tensor] = {}
    for tensor in tensors:
        name = tensor.name
        if not name or name in constants:
            raise ModelError(
                "an initializer has no name" if not name else "two initializers have one name",
                where=where,
                why=f"initializer {name!r}" if name else "",
            )
        check_tensor(tensor, f"{where}, initializer {name!r}")
        constants[name] = files.open(tensor) if is_external(tensor) else InlineTensor(tensor)
    inlined = _inline_nested(proto, files, where)
    for tensor in tensors:
        stub = proto.graph.initializer.add()
        fill_stub(stub, constants[tensor.name], tensor.name)
        if is_external(tensor):
            _describe(stub, tensor)
    sort_nodes(proto.graph)
    check_functions(proto, where)
    check_structure(proto, where)
    external = inlined or any(tensor.is_external for tensor in constants.values())
    if source is None:
        return Model(proto, constants, external=external)
    size_bytes = source.stamp.size_bytes + files.used_bytes
    source = Source(source.path, source.stamp, size_bytes)
    return Model(proto, constants, source.path, external, source)


def _describe(stub: onnx.TensorProto, tensor: onnx.TensorProto) -> None:
    """Gives a stub what an external constant does not know about itself."""
    if tensor.doc_string:
        stub.doc_string = tensor.doc_string
    stub.metadata_props.extend(tensor.metadata_props)


def _check_header(proto: onnx.ModelProto, where: str) -> None:
    if not proto.HasField("graph"):
        raise ModelError("the model has no graph", where=where)
    if not proto.graph.node:
        raise ModelError(
            "the model has no nodes", where=where, why="its graph computes nothing from its inputs"
        )
    if not proto.opset_import:
        raise ModelError(
            "the model does not say which operator set it uses",
            where=where,
            why="opset_import is empty",
            hint="models from before 2018 lack it: convert the model with onnx.version_converter",
        )


def _inline_nested(proto: onnx.ModelProto, files: ExternalData, where: str) -> bool:
    """Reads external data of tensors that are no constants of the main graph; any there?"""
    found = False
    for tensor in nested_tensors(proto):
        check_tensor(tensor, f"{where}, tensor {tensor.name!r}")
        if is_external(tensor):
            found = True
            data = files.open(tensor).raw()
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = data
    return found
