"""The model: a structure without weights, and beside it the constants, read when needed."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Final

import onnx

from onnxprune.errors import InternalError, ModelError
from onnxprune.ir.elements import is_weight_type
from onnxprune.ir.graph import all_graphs, all_nodes, type_text
from onnxprune.ir.tensors import ExternalTensor, FileStamp, InlineTensor, Tensor
from onnxprune.notebook import html_table

STUB_DATA_LIMIT: Final = 1024
"""Initializers of at most so many elements keep their data in the structure as well.

Shape inference needs the values of small integer tensors, and a constant that small costs
nothing to copy.
"""

_HASH_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """The file that a model was loaded from.

    Attributes:
        path: Absolute path of the model file.
        stamp: The file as it was when it was read.
        size_bytes: Size of the model file and of the external data that it uses, in bytes.
    """

    path: Path
    stamp: FileStamp
    size_bytes: int


@dataclass(slots=True, eq=False, repr=False)
class Model:
    """An ONNX model, split into structure and weights.

    The initializers of the main graph stand in both parts, under the same names and in
    the same order: as a stub in `proto` (name, dims, data type, doc string; data only up
    to `STUB_DATA_LIMIT` elements), and with its data in `constants`. Copying, inferring
    shapes and editing the graph therefore cost next to nothing. Change constants by
    `set_constants` and `drop_constants`, which keep both parts together. Everything else of
    the original stays in `proto` as it was.

    Attributes:
        proto: The structure. Do not write it to a file: `to_proto` adds the weights.
        constants: The data of each initializer of the main graph, by name, in file order.
        path: The file that the model comes from; None if it never was a file.
        external: Whether it had external data, and is saved with external data again.
        source: The file whose content this model still is; None after a copy or a change.
    """

    proto: onnx.ModelProto
    constants: dict[str, Tensor]
    path: Path | None = None
    external: bool = False
    source: Source | None = None
    _sha256: str = field(default="", init=False)

    def __repr__(self) -> str:
        """Its name and size in one line."""
        sizes = f"{self.node_count:,} operators, {self.parameters:,} parameters"
        opset = f", opset {self.opset['']}" if "" in self.opset else ""
        return f"<Model {self.proto.graph.name!r}: {sizes}{opset}>"

    def _repr_html_(self) -> str:
        """Its inputs and outputs, as notebooks show them."""
        graph = self.proto.graph
        ports = [("input", info) for info in graph.input if info.name not in self.constants]
        ports += [("output", info) for info in graph.output]
        rows = [(border, info.name, type_text(info.type)) for border, info in ports]
        return html_table(repr(self).strip("<>"), ("", "name", "type"), rows)

    @classmethod
    def load(cls, source: "str | os.PathLike[str] | onnx.ModelProto") -> "Model":
        """Reads and checks a model; see `onnxprune.ir.load.load`.

        Args:
            source: Path of an ONNX file, or a model in memory (left as it is).

        Raises:
            ModelError: The model cannot be read, is invalid or cannot be handled.
        """
        from onnxprune.ir.load import load

        return load(source)

    @property
    def opset(self) -> dict[str, int]:
        """The version of each operator set, by domain; the standard domain is `""`."""
        return {
            "" if entry.domain == "ai.onnx" else entry.domain: entry.version
            for entry in self.proto.opset_import
        }

    @property
    def parameters(self) -> int:
        """Number of elements of all weights, those in bodies included; see `is_weight_type`.

        Initializers and `Constant` nodes count alike, zeros of sparse ones too; wide integers do
        not, they are shapes and indices.
        """
        from onnxprune.ir.sparse import sparse_tensors

        nested = [
            attribute.t
            for node, _ in all_nodes(self.proto.graph)
            if node.op_type == "Constant" and not node.domain
            for attribute in node.attribute
            if attribute.name == "value"
        ]
        for part in all_graphs(self.proto.graph):
            nested.extend(part.initializer if part is not self.proto.graph else ())
        counts = [(tensor.elem_type, tensor.size) for tensor in self.constants.values()]
        counts += [(tensor.data_type, prod(tensor.dims)) for tensor in nested]
        sparse = sparse_tensors(self).values()
        counts += [(tensor.values.data_type, prod(tensor.dims)) for tensor in sparse]
        return sum(size for elem_type, size in counts if is_weight_type(elem_type))

    @property
    def node_count(self) -> int:
        """Number of operators, those in bodies included."""
        return sum(1 for _ in all_nodes(self.proto.graph))

    @property
    def results(self) -> set[str]:
        """Names of all values that operators make, those in bodies included."""
        return {name for node, _ in all_nodes(self.proto.graph) for name in node.output if name}

    @property
    def size_bytes(self) -> int:
        """Size in bytes: of the file and the external data it uses, or of `to_bytes()`.

        Raises:
            ModelError: External data cannot be read.
        """
        if self.source is not None:
            return self.source.size_bytes
        from onnxprune.ir.encode import chunks

        return sum(len(chunk) for chunk in chunks(self))

    @property
    def sha256(self) -> str:
        """Hash of the content, in hexadecimal.

        Of a loaded model it is the hash of the file's bytes, followed by those of the
        external tensors in file order; computed when first asked for. Of a copy or a
        changed model it is the hash of `to_bytes()`.

        Raises:
            ModelError: The file changed after it was loaded.
        """
        if self.source is None:
            from onnxprune.ir.encode import chunks

            digest = hashlib.sha256()
            for chunk in chunks(self):
                digest.update(chunk)
            return digest.hexdigest()
        if not self._sha256:
            self._sha256 = _hash_of_files(self.source, self.constants)
        return self._sha256

    def copy(self) -> "Model":
        """Returns a model with a structure of its own; the tensors are shared."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        return Model(proto, dict(self.constants), self.path, self.external)

    def set_constants(self, tensors: Mapping[str, Tensor]) -> None:
        """Adds initializers to the main graph, or replaces those of the same names.

        The doc string and metadata of a replaced initializer stay.

        Args:
            tensors: The new shape, type and data, by name.

        Raises:
            ModelError: The data of a small tensor cannot be read.
        """
        self._changed()
        stubs = {stub.name: stub for stub in self.proto.graph.initializer}
        for name, tensor in tensors.items():
            stub = stubs.get(name)
            if stub is None:
                stub = self.proto.graph.initializer.add()
            doc_string, metadata = stub.doc_string, list(stub.metadata_props)
            fill_stub(stub, tensor, name)
            if doc_string:
                stub.doc_string = doc_string
            if metadata:
                del stub.metadata_props[:]
                stub.metadata_props.extend(metadata)
            self.constants[name] = tensor

    def drop_constants(self, names: Iterable[str]) -> None:
        """Removes initializers of the main graph; old models list them among its inputs, too.

        Args:
            names: Their names.

        Raises:
            InternalError: There is none of that name.
        """
        unwanted = set(names)
        if missing := unwanted - self.constants.keys():
            raise InternalError("no such initializers to remove", where=", ".join(sorted(missing)))
        self._changed()
        for listed in (self.proto.graph.initializer, self.proto.graph.input):
            for index in reversed(range(len(listed))):
                if listed[index].name in unwanted:
                    del listed[index]
        for name in unwanted:
            del self.constants[name]

    def to_proto(self) -> onnx.ModelProto:
        """Returns the complete model with all data inline.

        Raises:
            ModelError: External data cannot be read.
            InternalError: Structure and constants do not agree.
        """
        from onnxprune.ir.encode import inline_proto

        return inline_proto(self)

    def to_bytes(self) -> bytes:
        """Returns the complete model as the content of an ONNX file, with all data inline.

        Raises:
            ModelError: External data cannot be read, or the model exceeds 2 GB.
            InternalError: Structure and constants do not agree.
        """
        from onnxprune.ir.encode import chunks

        return b"".join(chunks(self))

    def save(self, path: "str | os.PathLike[str]", *, external: bool | None = None) -> None:
        """Writes the model to a file; see `onnxprune.ir.save.save`.

        Args:
            path: The file to write; replaced as a whole, or left as it is on failure.
            external: Whether weights go to a file of their own, `NAME.onnx.data`. By
                default they do if they did in the input, or if one file cannot hold them.

        Raises:
            WriteError: The file cannot be written.
            ModelError: External data of the input cannot be read.
        """
        from onnxprune.ir.save import save

        save(self, path, external=external)

    def _changed(self) -> None:
        self.source = None
        self._sha256 = ""


def fill_stub(stub: onnx.TensorProto, tensor: Tensor, name: str) -> None:
    """Makes `stub` stand for a constant in the structure of a model.

    Args:
        stub: The tensor to fill; what it held is lost.
        tensor: The constant.
        name: Name of the initializer.

    Raises:
        ModelError: The data of a small tensor cannot be read.
    """
    if tensor.size <= STUB_DATA_LIMIT:
        tensor.fill(stub)
    else:
        stub.Clear()
        stub.dims.extend(tensor.shape)
        stub.data_type = tensor.elem_type
        if isinstance(tensor, InlineTensor):
            # Writing an empty string would add a field that the original does not have.
            if tensor.proto.doc_string:
                stub.doc_string = tensor.proto.doc_string
            stub.metadata_props.extend(tensor.proto.metadata_props)
    stub.name = name


def _hash_of_files(source: Source, constants: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    try:
        with source.path.open("rb") as file:
            unchanged = FileStamp.of(os.fstat(file.fileno())) == source.stamp
            while unchanged and (block := file.read(_HASH_BLOCK_BYTES)):
                digest.update(block)
    except OSError as error:
        raise ModelError(
            "the model cannot be read", where=str(source.path), why=str(error)
        ) from error
    if not unchanged:
        raise ModelError(
            "the model file changed after it was loaded",
            where=str(source.path),
            why="the file was replaced or written to in the meantime",
            hint="load the model again, and write results to another name",
        )
    for tensor in constants.values():
        if isinstance(tensor, ExternalTensor):
            digest.update(tensor.raw())
    return digest.hexdigest()
