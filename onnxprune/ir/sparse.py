"""Sparse initializers: dense in the canonical form, sparse in files as they were or as asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx

from onnxprune.errors import ModelError
from onnxprune.ir.edit import with_constants
from onnxprune.ir.elements import is_weight_type
from onnxprune.ir.encode import encoded_length, paired, restore_names
from onnxprune.ir.graph import all_graphs, all_nodes
from onnxprune.ir.model import Model
from onnxprune.ir.save import EXTERNAL_THRESHOLD_BYTES
from onnxprune.ir.tensors import ArrayTensor, InlineTensor, Tensor

LARGEST = 1 << 28
"""A tensor of more elements stays as it is: sparse, it may be larger than any memory."""
ROOM_BYTES = EXTERNAL_THRESHOLD_BYTES
"""What sparse weights may take: they cannot be external data, and a protobuf ends at 2 GB."""
_LEAST_BYTES = 1024
"""Smaller weights stay as they are: they save next to nothing."""
_INDEX_BYTES = 8
"""ONNX has int64 for the places of a sparse tensor, and nothing smaller."""


def name_of(sparse: onnx.SparseTensorProto) -> str:
    """The name of a sparse initializer, which its values bear."""
    return sparse.values.name


def dense(sparse: onnx.SparseTensorProto) -> Tensor | None:
    """A sparse tensor with all its zeros; None if they are too many.

    Args:
        sparse: a tensor that onnx's checker has seen.
    """
    shape = tuple(sparse.dims)
    if prod(shape) > LARGEST:
        return None
    values = InlineTensor(sparse.values)
    array = np.zeros(shape, dtype=values.dtype)
    places = InlineTensor(sparse.indices).numpy()
    if places.ndim == 2:
        array[tuple(places.T)] = values.numpy()
    else:
        array.reshape(-1)[places] = values.numpy()
    return ArrayTensor(array, values.elem_type)


def take_sparse(graph: onnx.GraphProto) -> Iterator[tuple[str, Tensor]]:
    """Take the sparse initializers out of a graph and its bodies, and give them with their names.

    In place; those that are too large to be dense stay.
    """
    for part in all_graphs(graph):
        yield from _take_own(part)


def _take_own(graph: onnx.GraphProto) -> Iterator[tuple[str, Tensor]]:
    for place in reversed(range(len(graph.sparse_initializer))):
        sparse = graph.sparse_initializer[place]
        tensor = dense(sparse)
        if tensor is not None:
            yield name_of(sparse), tensor
            del graph.sparse_initializer[place]


def sparse_tensors(model: Model) -> dict[str, onnx.SparseTensorProto]:
    """Every sparse initializer and constant of a model, bodies included, by name."""
    found: dict[str, onnx.SparseTensorProto] = {}
    for part in all_graphs(model.proto.graph):
        found |= {name_of(sparse): sparse for sparse in part.sparse_initializer}
    for node, _ in all_nodes(model.proto.graph):
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.HasField("sparse_tensor"):
                found[node.output[0]] = attribute.sparse_tensor
    return found


def written_out(model: Model) -> dict[str, Tensor]:
    """The constants of a model, those too that are sparse and not too large."""
    whole = {name: dense(sparse) for name, sparse in sparse_tensors(model).items()}
    return {**model.constants, **{name: x for name, x in whole.items() if x is not None}}


def sparse_again(
    model: Model, original: Model, provenance: Mapping[str, str], spared: Collection[str]
) -> Model:
    """Write the constants sparsely that were sparse in the file that a model comes from.

    Args:
        model: the model; it is left as it is.
        original: what it comes from.
        provenance: constant of the original by initializer of the model.
        spared: initializers that stay dense.
    """
    sources = sparse_tensors(original)
    sparse: dict[str, onnx.SparseTensorProto] = {}
    for name, tensor in model.constants.items() if sources else ():
        source = sources.get(provenance.get(name, ""))
        if source is not None and name not in spared and tensor.numpy().any():
            sparse[name] = _compressed(tensor, source.values, source.indices)
            sparse[name].values.name = name
    return _with_sparse(model, sparse)


@dataclass(frozen=True, slots=True)
class Stored:
    """A model with sparse initializers.

    Attributes:
        model: the model.
        saved: how many bytes smaller each of them is than it was, by name.
    """

    model: Model
    saved: dict[str, int]


def stored_sparsely(model: Model) -> Stored:
    """Write the weights of the main graph sparsely that are smaller so.

    A zero is a zero of either sign. ONNX Runtime makes sparse weights dense when it loads them, but
    those that are graph outputs, which it would give sparsely: they stay dense, and so do elements
    of less than a byte, which it does not load.

    Args:
        model: the model; it is left as it is.

    Raises:
        ModelError: the sparse weights are too large for one file, or a weight cannot be read.
    """
    sparse: dict[str, onnx.SparseTensorProto] = {}
    saved: dict[str, int] = {}
    room = ROOM_BYTES
    for tensor, less in _smaller(model):
        sparse[name_of(tensor)], saved[name_of(tensor)] = tensor, less
        room -= tensor.ByteSize()
        if room < 0:
            raise ModelError(
                "the sparse weights are too large for one file",
                why="ONNX has no external data for them, and a file is one protobuf message of at "
                "most 2 GB",
                hint="leave out --sparse-storage, or the pass store-sparsely",
            )
    return Stored(_with_sparse(model, sparse), saved)


def sparse_savings(model: Model) -> dict[str, int]:
    """How many bytes `stored_sparsely` would save, by initializer."""
    return {name_of(tensor): less for tensor, less in _smaller(model)}


def made_dense(model: Model) -> Model:
    """A copy of a model whose main graph has no sparse initializers, but those too large."""
    result = model.copy()
    result.set_constants(dict(_take_own(result.proto.graph)))
    return result


def _smaller(model: Model) -> Iterator[tuple[onnx.SparseTensorProto, int]]:
    """Each weight that is smaller without its zeros, in that form, and by how many bytes."""
    outputs = {info.name for info in model.proto.graph.output}
    for stub, tensor in paired(model):
        if stub.name in outputs or not _may_be_sparse(tensor):
            continue
        count = np.count_nonzero(tensor.numpy() != 0)
        if count * (tensor.dtype.itemsize + _INDEX_BYTES) >= tensor.nbytes:
            continue
        sparse = _compressed(tensor, stub)
        less = encoded_length(stub, tensor) - sparse.ByteSize()
        if less > 0:
            yield sparse, less


def _may_be_sparse(tensor: Tensor) -> bool:
    """Whether it pays to look at a weight, and ONNX Runtime and `dense` take it if it is sparse."""
    packed = tensor.nbytes != tensor.size * tensor.dtype.itemsize
    known = is_weight_type(tensor.elem_type) and tensor.dtype.kind != "c" and not packed
    return known and tensor.nbytes >= _LEAST_BYTES and tensor.size <= LARGEST


def _with_sparse(model: Model, sparse: Mapping[str, onnx.SparseTensorProto]) -> Model:
    """A model with some of its initializers sparse; the model itself if there are none."""
    if not sparse:
        return model
    dense_ones = {name: x for name, x in model.constants.items() if name not in sparse}
    result = with_constants(model.copy(), dense_ones)
    result.proto.graph.sparse_initializer.extend(sparse.values())
    return result


def _compressed(
    tensor: Tensor, stub: onnx.TensorProto, indices: onnx.TensorProto | None = None
) -> onnx.SparseTensorProto:
    """A tensor without its zeros.

    Args:
        tensor: the tensor.
        stub: gives name, doc string and metadata.
        indices: a list of places in the form that is wanted; in row-major order if None.
    """
    array = tensor.numpy()
    there = array != 0
    listed = indices is None or len(indices.dims) == 1
    places = np.flatnonzero(there) if listed else np.argwhere(there)
    made = onnx.SparseTensorProto(dims=array.shape)
    made.values.CopyFrom(ArrayTensor(array[there], tensor.elem_type).to_proto(stub.name))
    restore_names(made.values, stub)
    name = "" if indices is None else indices.name
    made.indices.CopyFrom(ArrayTensor.of(places.astype(np.int64)).to_proto(name))
    return made
