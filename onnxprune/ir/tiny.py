"""A network of one layer, small enough to be computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor

_OPSET = 17
_IR_VERSION = 8


def one_layer(weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> Model:
    """A model that computes ``y = Relu(x @ weight + bias)``.

    Args:
        weight: float32 ``[I O]``.
        bias: float32 ``[O]``.

    Returns:
        The model; its input ``x`` is float32 ``[2 I]``, its output ``y`` float32 ``[2 O]``.
    """
    width, outputs = weight.shape
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "weight"], ["product"]),
        onnx.helper.make_node("Add", ["product", "bias"], ["sum"]),
        onnx.helper.make_node("Relu", ["sum"], ["y"]),
    ]
    graph = onnx.helper.make_graph(
        nodes, "one_layer", [_port("x", (2, width))], [_port("y", (2, outputs))]
    )
    opset = onnx.helper.make_opsetid("", _OPSET)
    proto = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    model = Model(proto, {})
    kind = onnx.TensorProto.FLOAT
    model.set_constants({"weight": ArrayTensor(weight, kind), "bias": ArrayTensor(bias, kind)})
    return model


def _port(name: str, shape: tuple[int, ...]) -> Any:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
