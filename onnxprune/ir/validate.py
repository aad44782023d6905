"""What a model must fulfil before anything is done with it; cheap, as no weight is copied."""

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Final

import onnx
import onnx.checker
import onnx.defs
import onnx.helper

from onnxprune.errors import ModelError
from onnxprune.ir.elements import TYPE_NAMES, dtype_of, packed_nbytes
from onnxprune.ir.external import is_external
from onnxprune.ir.model import STUB_DATA_LIMIT

MAX_ELEMENTS: Final = 1 << 40
"""A tensor of more elements is refused: nobody has it, and allocating it takes the machine."""

_OWN: Final = frozenset(("LayerNormalization", "SimplifiedLayerNormalization"))
"""What ONNX Runtime's optimizer puts into the standard domain, whatever the version of it."""
_OWN_DOMAIN: Final = "com.microsoft"
_FunctionKey = tuple[str, str, str]


def check_text(proto: onnx.ModelProto, where: str) -> None:
    """Checks that all names and texts are UTF-8; protobuf hands others out as bytes.

    Args:
        proto: The model.
        where: What to call it in an error.

    Raises:
        ModelError: One of them is not.
    """
    for text in _texts(proto):
        if not isinstance(text, str):
            raise ModelError(
                "a name or text in the model is not UTF-8",
                where=where,
                why=repr(text)[:200],
                hint="the file may be damaged; otherwise write the text anew in UTF-8",
            )


def check_tensor(tensor: onnx.TensorProto, where: str) -> None:
    """Checks dims, type and amount of data of one tensor, before anything is allocated.

    Args:
        tensor: Any tensor of a model; the content of external data is not looked at.
        where: What to call it in an error.

    Raises:
        ModelError: The tensor cannot be right.
    """
    size = _element_count(tensor.dims, where)
    try:
        dtype_of(tensor.data_type)
    except ModelError as error:
        raise ModelError(error.message, where=where, why=error.why, hint=error.hint) from error
    if tensor.HasField("segment"):
        raise ModelError("tensors in segments cannot be handled", where=where)
    if is_external(tensor):
        return
    if tensor.HasField("raw_data"):
        found, wanted = len(tensor.raw_data), packed_nbytes(tensor.data_type, size)
        unit = "bytes"
    else:
        field = str(onnx.helper.tensor_dtype_to_field(tensor.data_type))
        found, wanted = len(getattr(tensor, field)), _entry_count(tensor.data_type, size)
        unit = f"entries of {field}"
    if found != wanted:
        raise ModelError(
            "the data of a tensor does not have the length of its shape",
            where=where,
            why=f"shape {list(tensor.dims)} of {TYPE_NAMES[tensor.data_type]} asks for "
            f"{wanted} {unit}, found {found}",
            hint="the model may have been separated from its external data, or cut short",
        )


def check_functions(proto: onnx.ModelProto, where: str) -> None:
    """Checks that no local function calls itself, directly or through others.

    Args:
        proto: The model or its structure.
        where: What to call it in an error.

    Raises:
        ModelError: The functions are recursive, which ONNX forbids.
    """
    keys = {(f.domain, f.name, f.overload) for f in proto.functions}
    calls: dict[_FunctionKey, set[_FunctionKey]] = {}
    for function in proto.functions:
        called = {(n.domain, n.op_type, n.overload) for n in _all_nodes(function.node)}
        calls[function.domain, function.name, function.overload] = called & keys
    try:
        TopologicalSorter(calls).prepare()
    except CycleError as error:
        cycle: list[_FunctionKey] = error.args[1]
        raise ModelError(
            "a local function calls itself",
            where=where,
            why=" <- ".join(f"{domain}.{name}" for domain, name, _ in cycle),
        ) from error


def check_structure(proto: onnx.ModelProto, where: str) -> None:
    """Runs onnx's checker on a structure; operators of unknown domains pass it.

    Args:
        proto: The structure of a model; left as it is.
        where: What to call it in an error.

    Raises:
        ModelError: The model is invalid.
    """
    shell = onnx.ModelProto()
    shell.CopyFrom(proto)
    for stub in shell.graph.initializer:
        # The checker asks a tensor for its data, unless it has no elements.
        if _element_count(stub.dims, where) > STUB_DATA_LIMIT:
            stub.dims[:] = [0]
    _rename_own_operators(shell)
    for value in (*shell.graph.input, *shell.graph.output):
        # The checker wants a shape; ONNX Runtime does not, and some exporters leave it out.
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.SetInParent()
    try:
        # onnx annotates an unused alternative with a bare PathLike.
        onnx.checker.check_model(shell)  # pyright: ignore[reportUnknownMemberType]
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise ModelError(
            "the model is not valid ONNX",
            where=where,
            why=str(error),
            hint="`check-model MODEL`, which comes with onnx, tells more",
        ) from error


def _rename_own_operators(shell: onnx.ModelProto) -> None:
    """Puts what ONNX Runtime wrote into the standard domain, and onnx does not know, elsewhere."""
    versions = {opset.domain: opset.version for opset in shell.opset_import}
    own = [
        node
        for node in _all_nodes(shell.graph.node)
        if node.op_type in _OWN
        and not node.domain
        and not _is_known(node.op_type, versions.get("", 1))
    ]
    if own and _OWN_DOMAIN not in versions:
        shell.opset_import.append(onnx.helper.make_opsetid(_OWN_DOMAIN, 1))
    for node in own:
        node.domain = _OWN_DOMAIN


def _is_known(op_type: str, version: int) -> bool:
    """Whether a version of the standard operator set has an operator."""
    try:
        onnx.defs.get_schema(op_type, version)
    except onnx.defs.SchemaError:
        return False
    return True


def nested_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Goes through all tensors of a model but the dense initializers of its main graph.

    These are the tensors in attributes, in subgraphs, in local functions, in training
    information, and both parts of each sparse tensor.

    Args:
        proto: The model or its structure.

    Yields:
        The tensors themselves, not copies.

    Raises:
        ModelError: A sparse tensor has impossible dims.
    """
    yield from _in_nodes(proto.graph.node)
    for sparse in proto.graph.sparse_initializer:
        yield from _in_sparse(sparse)
    for function in proto.functions:
        yield from _in_nodes(function.node)
        for attribute in function.attribute_proto:
            yield from _in_attribute(attribute)
    for training in proto.training_info:
        yield from _in_graph(training.initialization)
        yield from _in_graph(training.algorithm)


def _in_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from _in_sparse(sparse)
    yield from _in_nodes(graph.node)


def _in_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _in_attribute(attribute)


def _in_attribute(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    # Presence is asked for, not `type`: a file may say one type and hold another.
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    if attribute.HasField("sparse_tensor"):
        yield from _in_sparse(attribute.sparse_tensor)
    for sparse in attribute.sparse_tensors:
        yield from _in_sparse(sparse)
    for graph in _subgraphs(attribute):
        yield from _in_graph(graph)


def _in_sparse(sparse: onnx.SparseTensorProto) -> Iterator[onnx.TensorProto]:
    _element_count(sparse.dims, f"sparse tensor {sparse.values.name!r}")
    yield sparse.values
    yield sparse.indices


def _subgraphs(attribute: onnx.AttributeProto) -> Iterator[onnx.GraphProto]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in _subgraphs(attribute):
                yield from _all_nodes(graph.node)


def _element_count(dims: Iterable[int], where: str) -> int:
    size = 1
    largest = 1
    for dim in dims:
        if dim < 0:
            raise ModelError("a dim of a tensor is negative", where=where, why=f"dim {dim}")
        size *= dim
        # A zero among huge dims hides them from the product, not from what computes with them.
        largest *= max(dim, 1)
        if largest > MAX_ELEMENTS:
            raise ModelError(
                "a tensor is impossibly large",
                where=where,
                why=f"its dims ask for more than {MAX_ELEMENTS} elements",
            )
    return size


def _entry_count(elem_type: int, size: int) -> int:
    """Entries that a tensor's typed data field has for a number of elements."""
    name = TYPE_NAMES[elem_type]
    if name in {"COMPLEX64", "COMPLEX128"}:
        return 2 * size
    if name in {"UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2"}:
        return packed_nbytes(elem_type, size)
    return size


def _texts(proto: onnx.ModelProto) -> Iterator[object]:
    yield from (proto.producer_name, proto.producer_version, proto.domain, proto.doc_string)
    yield from _in_entries(proto.metadata_props)
    yield from (entry.domain for entry in proto.opset_import)
    for function in proto.functions:
        yield from (function.name, function.domain, function.overload, function.doc_string)
        yield from (*function.input, *function.output, *function.attribute)
        yield from _texts_of_nodes(function.node)
    yield from _texts_of_graph(proto.graph)
    for tensor in (*proto.graph.initializer, *nested_tensors(proto)):
        yield from (tensor.name, tensor.doc_string)
        yield from _in_entries(tensor.external_data)
        yield from _in_entries(tensor.metadata_props)


def _texts_of_graph(graph: onnx.GraphProto) -> Iterator[object]:
    yield from (graph.name, graph.doc_string)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield from (value.name, value.doc_string)
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    yield from _texts_of_nodes(graph.node)


def _texts_of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[object]:
    for node in _all_nodes(nodes):
        yield from (node.name, node.op_type, node.domain, node.overload, node.doc_string)
        yield from node.input
        yield from node.output
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name, attribute.doc_string)
            for graph in _subgraphs(attribute):
                yield from (graph.name, graph.doc_string)
                yield from (value.name for value in (*graph.input, *graph.output))


def _in_entries(entries: Iterable[onnx.StringStringEntryProto]) -> Iterator[object]:
    for entry in entries:
        yield from (entry.key, entry.value)
