"""Sparse initializers: dense in the canonical form, sparse in files as they were."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import prod

import numpy as np
import onnx

from onnxprune.ir.edit import with_constants
from onnxprune.ir.graph import all_graphs, all_nodes
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor, InlineTensor, Tensor

LARGEST = 1 << 28
"""A tensor of more elements stays as it is: sparse, it may be larger than any memory."""


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
        for place in reversed(range(len(part.sparse_initializer))):
            sparse = part.sparse_initializer[place]
            tensor = dense(sparse)
            if tensor is not None:
                yield name_of(sparse), tensor
                del part.sparse_initializer[place]


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
            sparse[name] = _compressed(tensor, name, source)
    if not sparse:
        return model
    dense_ones = {name: x for name, x in model.constants.items() if name not in sparse}
    result = with_constants(model.copy(), dense_ones)
    result.proto.graph.sparse_initializer.extend(sparse.values())
    return result


def _compressed(
    tensor: Tensor, name: str, source: onnx.SparseTensorProto
) -> onnx.SparseTensorProto:
    """A tensor without its zeros, in the form of another one."""
    array = tensor.numpy()
    listed = len(source.indices.dims) == 1
    places = np.flatnonzero(array) if listed else np.argwhere(array)
    made = onnx.SparseTensorProto(dims=array.shape)
    made.values.CopyFrom(ArrayTensor(array[array != 0], tensor.elem_type).to_proto(name))
    made.values.doc_string = source.values.doc_string
    made.values.metadata_props.extend(source.values.metadata_props)
    indices = ArrayTensor.of(places.astype(np.int64))
    made.indices.CopyFrom(indices.to_proto(source.indices.name))
    return made
