"""Edits of a model that keep everything else of the user's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx

from onnxprune.ir import graph
from onnxprune.ir.model import Model, fill_stub
from onnxprune.ir.tensors import ArrayTensor, Tensor

Number = int | float | list[int]
"""What an attribute may be set to."""
FREE_INITIALIZERS_SINCE = 4
"""First IR version in which initializers need not be inputs."""
WHERE_SINCE = 9
"""First opset with the operator that takes elements from one of two tensors."""


@dataclass(frozen=True, slots=True)
class NodeEdit:
    """New values for one node.

    Attributes:
        attributes: new values of attributes by name; the node may not have had them.
        inputs: elements of constant inputs by input index.
    """

    attributes: Mapping[str, Number] = field(default_factory=dict[str, Number])
    inputs: Mapping[int, npt.NDArray[np.int64]] = field(
        default_factory=dict[int, npt.NDArray[np.int64]]
    )


def edited(
    model: Model,
    constants: Mapping[str, Tensor],
    edits: Mapping[int, NodeEdit],
    shapes: Mapping[str, Mapping[int, int]],
    partial: Mapping[str, str],
) -> Model:
    """A copy of a model with some constants, nodes and declared shapes replaced.

    Args:
        model: the model; it is left as it is.
        constants: new data by initializer name.
        edits: new values by place of the node (`graph.all_nodes`). A constant that other nodes read
            too is not changed under them: the node gets one of its own.
        shapes: new sizes by value name and axis, of the axes that changed.
        partial: constants that stand for computed inputs (`Canonical.partial`).
    """
    result = model.copy()
    tensors = dict(model.constants) | dict(constants)
    uses = graph.uses(result.proto.graph)
    nodes = [node for node, _ in graph.all_nodes(result.proto.graph)] if edits else []
    for place, edit in edits.items():
        node = nodes[place]
        for name, value in edit.attributes.items():
            _set_attribute(node, name, value)
        for index, array in edit.inputs.items():
            name = partial.get(node.input[index], node.input[index])
            tensor = ArrayTensor.of(array.astype(tensors[name].dtype))
            if uses[name] > 1 and name == node.input[index]:
                name = node.input[index] = graph.fresh_name(f"{name}::{place}", tensors)
            tensors[name] = tensor
    for part in graph.all_graphs(result.proto.graph):
        _correct_shapes(part, shapes)
    return with_constants(result, tensors)


def with_constants(model: Model, tensors: Mapping[str, Tensor]) -> Model:
    """Make `tensors` the initializers of a model, in that order; stubs follow. In place.

    Old models, before IR version 4, list them among the graph's inputs, too.
    """
    proto = model.proto
    stubs = {stub.name: stub for stub in proto.graph.initializer}
    fresh: list[onnx.TensorProto] = []
    for name, tensor in tensors.items():
        stub = onnx.TensorProto()
        if model.constants.get(name) is tensor and name in stubs:
            stub.CopyFrom(stubs[name])
        else:
            fill_stub(stub, tensor, name)
            stub.doc_string = stubs[name].doc_string if name in stubs else stub.doc_string
        fresh.append(stub)
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(fresh)
    model.constants = dict(tensors)
    if proto.ir_version < FREE_INITIALIZERS_SINCE:
        listed = {info.name for info in proto.graph.input}
        for stub in proto.graph.initializer:
            if stub.name not in listed:
                info = onnx.helper.make_tensor_value_info(stub.name, stub.data_type, stub.dims)
                proto.graph.input.append(info)
    return model


def _set_attribute(node: onnx.NodeProto, name: str, value: Number) -> None:
    there = (attribute for attribute in node.attribute if attribute.name == name)
    attribute = next(there, None) or node.attribute.add()
    attribute.CopyFrom(onnx.helper.make_attribute(name, value))


def _correct_shapes(part: onnx.GraphProto, shapes: Mapping[str, Mapping[int, int]]) -> None:
    for info in (*part.value_info, *part.input, *part.output):
        if info.name not in shapes or not info.type.HasField("tensor_type"):
            continue
        dims = info.type.tensor_type.shape.dim
        for axis, size in shapes[info.name].items():
            if axis >= len(dims):
                continue
            if dims[axis].HasField("dim_value"):
                dims[axis].dim_value = size
            else:
                dims[axis].Clear()  # a product of a dynamic size and one that changed


@dataclass(frozen=True, slots=True, eq=False)
class Bias:
    """What is added to the channels of a node's result.

    Attributes:
        elements: one for each channel, shape ``[c]``.
        place: the node's input for a bias; None if it has none, then an Add follows.
        axis: the channels' axis.
    """

    elements: npt.NDArray[np.generic]
    place: int | None
    axis: int


def with_biases(
    model: Model, added: Mapping[int, Bias], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Model, frozenset[str]]:
    """A copy of a model whose nodes add more to their channels.

    Args:
        model: the model; it is left as it is.
        added: by place of the node (`graph.all_nodes`), of the main graph.
        shapes: of the nodes' results, by name.

    Returns:
        The copy, and the names of the constants that are new or have new elements.
    """
    result = model.copy()
    tensors = dict(model.constants)
    uses = graph.uses(result.proto.graph)
    places = [node for node, _ in graph.all_nodes(result.proto.graph)]
    follow: dict[str, onnx.NodeProto] = {}
    changed: set[str] = set()
    for place, bias in added.items():
        node = places[place]
        name = graph.fresh_name(f"{node.output[0]}::bias", tensors)
        elements = bias.elements
        if bias.place is None:
            y, inner = node.output[0], f"{node.output[0]}::product"
            trailing = len(shapes[y]) - 1 - bias.axis
            elements = elements.reshape(-1, *[1] * trailing)
            follow[inner] = onnx.helper.make_node("Add", [inner, name], [y])
            node.output[0] = inner
        elif len(node.input) > bias.place and node.input[bias.place]:
            old = node.input[bias.place]
            total = tensors[old].numpy().reshape(-1) + elements
            elements = total.reshape(np.broadcast_shapes(tensors[old].shape, total.shape))
            name = old if uses[old] == 1 else name
            node.input[bias.place] = name
        else:
            node.input.extend([""] * (bias.place - len(node.input)))
            node.input.append(name)
        tensors[name] = ArrayTensor.of(elements)
        changed.add(name)
    if follow:
        nodes = [
            made
            for node in result.proto.graph.node
            for made in (node, *(follow[name] for name in node.output if name in follow))
        ]
        graph.set_nodes(result.proto.graph, nodes)
    return with_constants(result, tensors), frozenset(changed)
