"""One node of a model as a model of its own, for measurements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from onnxprune.ir.edit import NodeEdit, edited
from onnxprune.ir.elements import is_float_type
from onnxprune.ir.graph import all_nodes
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor, Tensor

Shape = tuple[int, ...]


def single_node(
    model: Model,
    place: int,
    edit: NodeEdit,
    shapes: Mapping[str, Shape],
    elem_types: Mapping[str, int],
) -> Model:
    """A model that runs one node, with operands of given shapes.

    Floating-point constants are filled with random numbers, which take as long as any others;
    others are cut or repeated, for zero points of channels may have to be equal.

    Args:
        model: the model.
        place: of the node (`graph.all_nodes`).
        edit: what changes at the node.
        shapes: of its operands and results, by name.
        elem_types: onnx element types of its operands and results.
    """
    node = next(node for at, (node, _) in enumerate(all_nodes(model.proto.graph)) if at == place)
    proto = onnx.ModelProto()
    proto.ir_version = model.proto.ir_version
    proto.opset_import.extend(model.proto.opset_import)
    proto.graph.name = "single"
    proto.graph.node.append(node)
    rng = np.random.default_rng(0)
    constants: dict[str, Tensor] = {}
    for name in dict.fromkeys(name for name in node.input if name):
        tensor = model.constants.get(name)
        if tensor is None:
            proto.graph.input.append(
                onnx.helper.make_tensor_value_info(name, elem_types[name], shapes[name])
            )
        elif is_float_type(tensor.elem_type):
            drawn = rng.standard_normal(shapes[name]).astype(np.float32)
            constants[name] = ArrayTensor(drawn.astype(tensor.dtype), tensor.elem_type)
        elif tensor.shape == shapes[name]:
            constants[name] = tensor
        else:
            fitting = np.resize(tensor.numpy(), shapes[name])
            constants[name] = ArrayTensor(fitting, tensor.elem_type)
    for name in node.output:
        if name:
            info = onnx.helper.make_tensor_value_info(name, elem_types[name], None)
            proto.graph.output.append(info)
    single = Model(proto, {})
    single.set_constants(constants)
    return edited(single, {}, {0: edit}, {}, {})


def nothing_to_do() -> Model:
    """A model that hands one number on: what running a model costs by itself."""
    shape, kind = (1,), onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "nothing",
        [onnx.helper.make_tensor_value_info("x", kind, shape)],
        [onnx.helper.make_tensor_value_info("y", kind, shape)],
    )
    opset = onnx.helper.make_opsetid("", 17)
    return Model(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), {})
