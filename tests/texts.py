"""Models in ONNX text with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.checker
import onnx.numpy_helper
import onnx.parser

from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor

Weight = tuple[int, ...] | npt.NDArray[Any]


def f32(elements: object) -> npt.NDArray[np.float32]:
    """An array of float32."""
    return np.asarray(elements, dtype=np.float32)


def proto_of(
    text: str, weights: Mapping[str, Weight], *, opset: int = 17, seed: int = 0, scale: float = 0.5
) -> onnx.ModelProto:
    """A model from the text of its graph; a shape among `weights` asks for random elements."""
    header = (
        "" if text.lstrip().startswith("<") else f'<ir_version: 8, opset_import: ["": {opset}]>'
    )
    proto = onnx.parser.parse_model(header + text)
    rng = np.random.default_rng(seed)
    for name, weight in weights.items():
        array = weight
        if isinstance(array, tuple):
            array = (rng.standard_normal(array) * scale).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


def with_weights(text: str) -> onnx.ModelProto:
    """A model from text of which all inputs whose names begin with w become random weights."""
    header = "" if text.startswith("<") else '<ir_version: 8, opset_import: ["": 17, "acme": 1]>'
    proto = onnx.parser.parse_model(f"{header} {text}")
    rng = np.random.default_rng(0)
    for info in list(proto.graph.input):
        if info.name.startswith("w"):
            shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
            array = f32(rng.standard_normal(shape))
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, info.name))
            proto.graph.input.remove(info)
    return proto


def model_of(text: str, weights: Mapping[str, Weight], **options: Any) -> Model:
    """The same, loaded; see `proto_of`."""
    return load(proto_of(text, weights, **options))


def assert_valid(model: Model) -> None:
    """Check the complete model, with strict shape inference."""
    onnx.checker.check_model(model.to_proto(), full_check=True)


def replace(model: Model, name: str, array: npt.NDArray[Any]) -> None:
    """Overwrite an initializer."""
    model.set_constants({name: ArrayTensor.of(array)})


def node_of(model: Model, output: str) -> onnx.NodeProto:
    """The node that makes a value."""
    return next(node for node in model.proto.graph.node if output in node.output)


def op_types(model: Model) -> list[str]:
    """Operator types in order."""
    return [node.op_type for node in model.proto.graph.node]
