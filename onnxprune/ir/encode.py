"""Puts structure and weights together again: as one message, or as the bytes of one.

Protobuf can only serialize a message that is complete in memory, and then needs room for
the message and its bytes. Here the structure is serialized without the weights, and each
weight where its turn comes; the result is the same to the byte.
"""

import zlib
from collections.abc import Iterator
from typing import Final

import onnx
from google.protobuf.message import EncodeError, Message

from onnxprune.errors import InternalError, ModelError
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import InlineTensor, Tensor
from onnxprune.progress import track

_MAX_PROTOBUF_BYTES: Final = (1 << 31) - 1
_ZLIB_LEVEL: Final = 6
_BLOCK_BYTES: Final = 1 << 20
_GRAPH_FIELD: Final = onnx.ModelProto.GRAPH_FIELD_NUMBER
_INITIALIZER_FIELD: Final = onnx.GraphProto.INITIALIZER_FIELD_NUMBER

# Wire types of protobuf: https://protobuf.dev/programming-guides/encoding/#structure
_VARINT, _LENGTH = 0, 2


def paired(model: Model) -> list[tuple[onnx.TensorProto, Tensor]]:
    """Returns each initializer's stub with its data, in file order.

    Args:
        model: The model.

    Raises:
        InternalError: Structure and constants do not hold the same names.
    """
    stubs = model.proto.graph.initializer
    names = {stub.name for stub in stubs}
    if len(names) != len(stubs) or names != model.constants.keys():
        differing = sorted(names ^ model.constants.keys())
        raise InternalError(
            "structure and constants of a model do not agree",
            why=", ".join(differing[:5]) or "an initializer stands twice in the structure",
        )
    return [(stub, model.constants[stub.name]) for stub in stubs]


def complete(stub: onnx.TensorProto, tensor: Tensor) -> onnx.TensorProto:
    """Returns a tensor with the data of a constant and the names of its stub.

    Args:
        stub: Gives name, doc string and metadata; not changed.
        tensor: Gives the rest.

    Raises:
        ModelError: The data cannot be read.
    """
    proto = onnx.TensorProto()
    tensor.fill(proto)
    restore_names(proto, stub)
    return proto


def restore_names(proto: onnx.TensorProto, stub: onnx.TensorProto) -> None:
    """Gives a tensor the name, doc string and metadata of a stub.

    Args:
        proto: The tensor to change.
        stub: The stub of the initializer that it stands for.
    """
    proto.name = stub.name
    proto.ClearField("doc_string")
    if stub.HasField("doc_string"):
        proto.doc_string = stub.doc_string
    del proto.metadata_props[:]
    proto.metadata_props.extend(stub.metadata_props)


def inline_proto(model: Model) -> onnx.ModelProto:
    """Returns a complete model with all data inline.

    Args:
        model: The model; not changed.

    Raises:
        ModelError: External data cannot be read.
        InternalError: Structure and constants do not agree.
    """
    pairs = paired(model)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.initializer[:]
    for stub, tensor in pairs:
        target = proto.graph.initializer.add()
        tensor.fill(target)
        restore_names(target, stub)
    return proto


def serialize(message: Message) -> bytes:
    """Serializes a message, always to the same bytes.

    Args:
        message: Any message of ONNX.

    Raises:
        ModelError: It exceeds 2 GB.
    """
    try:
        return message.SerializeToString(deterministic=True)
    except (EncodeError, ValueError) as error:
        raise _too_large(str(error)) from error


def inline_bytes(model: Model) -> int:
    """Returns about how many bytes a model takes with all data inline; nothing is read."""
    return model.proto.ByteSize() + sum(tensor.nbytes for tensor in model.constants.values())


def compressed_bytes(model: Model) -> int:
    """Returns how many bytes zlib makes of a model with all data inline, at its default level.

    Args:
        model: The model; not changed.

    Raises:
        ModelError: External data cannot be read, or one tensor exceeds 2 GB.
    """
    packer = zlib.compressobj(_ZLIB_LEVEL)
    size = 0
    for chunk in track(chunks(model, limited=False), "compressing", 2 * len(model.constants) + 4):
        for start in range(0, len(chunk), _BLOCK_BYTES):
            size += len(packer.compress(memoryview(chunk)[start : start + _BLOCK_BYTES]))
    return size + len(packer.flush())


def chunks(model: Model, *, limited: bool = True) -> Iterator[bytes]:
    """Serializes a complete model with all data inline, a tensor at a time.

    Args:
        model: The model; not changed.
        limited: Whether it must be one that a file can hold.

    Yields:
        The consecutive parts of what `serialize(inline_proto(model))` returns.

    Raises:
        ModelError: External data cannot be read, or the model exceeds 2 GB.
        InternalError: Structure and constants do not agree.
    """
    pairs = paired(model)
    shell = onnx.ModelProto()
    shell.CopyFrom(model.proto)
    del shell.graph.initializer[:]
    graph = serialize(shell.graph)
    shell.ClearField("graph")
    outer = serialize(shell)
    # Other fields before and behind, in the order of their numbers as protobuf has it.
    graph_at = _position(outer, _GRAPH_FIELD)
    initializers_at = _position(graph, _INITIALIZER_FIELD)

    # The length of a message stands before it, so all tensors are measured first.
    tag = _varint(_INITIALIZER_FIELD << 3 | _LENGTH)
    lengths = [encoded_length(stub, tensor) for stub, tensor in pairs]
    body = len(graph) + sum(len(tag) + len(_varint(length)) + length for length in lengths)
    if limited and len(outer) + body > _MAX_PROTOBUF_BYTES:
        raise _too_large(f"it has {len(outer) + body} bytes")

    yield outer[:graph_at] + _varint(_GRAPH_FIELD << 3 | _LENGTH) + _varint(body)
    yield graph[:initializers_at]
    for (stub, tensor), length in zip(pairs, lengths, strict=True):
        yield tag + _varint(length)
        content = _encode(stub, tensor)
        if len(content) != length:
            raise InternalError("a tensor was measured wrongly", where=f"initializer {stub.name!r}")
        yield content
    yield graph[initializers_at:]
    yield outer[graph_at:]


def _encode(stub: onnx.TensorProto, tensor: Tensor) -> bytes:
    if isinstance(tensor, InlineTensor) and _same_names(tensor.proto, stub):
        return serialize(tensor.proto)
    return serialize(complete(stub, tensor))


def encoded_length(stub: onnx.TensorProto, tensor: Tensor) -> int:
    """Returns how many bytes an initializer takes in a file with all data inline.

    Args:
        stub: Its stub.
        tensor: Its data, which is not read.

    Raises:
        ModelError: It exceeds 2 GB.
    """
    if isinstance(tensor, InlineTensor) or tensor.elem_type == onnx.TensorProto.STRING:
        return len(_encode(stub, tensor))
    # Reading the data just to measure it would read every file twice.
    header = onnx.TensorProto(dims=tensor.shape, data_type=tensor.elem_type)
    restore_names(header, stub)
    raw_tag = 1
    return header.ByteSize() + raw_tag + len(_varint(tensor.nbytes)) + tensor.nbytes


def _same_names(proto: onnx.TensorProto, stub: onnx.TensorProto) -> bool:
    return (
        proto.name == stub.name
        and proto.HasField("doc_string") == stub.HasField("doc_string")
        and proto.doc_string == stub.doc_string
        and list(proto.metadata_props) == list(stub.metadata_props)
    )


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def _position(content: bytes, number: int) -> int:
    """Where a field of this number belongs: behind all that have a smaller one."""
    at = 0
    while at < len(content):
        tag, behind = _read_varint(content, at)
        if tag >> 3 >= number:
            break
        wire_type = tag & 7
        if wire_type == _VARINT:
            _, behind = _read_varint(content, behind)
        elif wire_type == _LENGTH:
            length, behind = _read_varint(content, behind)
            behind += length
        else:  # ONNX has no such fields here; before an unknown one is as good a place
            break
        at = behind
    return at


def _too_large(why: str) -> ModelError:
    return ModelError(
        "the model is too large for one file",
        why=f"an ONNX file is one protobuf message of at most 2 GB; {why}",
        hint="save it with its weights as external data",
    )
