"""Skeletons: exported graphs without their large weights, and how these are drawn again.

A skeleton `NAME.onnx.xz` is a compressed ONNX file in which a large float tensor carries no data
but, in its `doc_string`, how to draw it: `normal:MEAN:STD:MIN`. The draw is seeded by the CRC-32
of the tensor's name, so that the same skeleton always gives the same model. Where MIN is 0 or
more, as for variances, the values are made positive.
"""

import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

SUFFIX = ".onnx.xz"
_SMALLEST = 1e-3  # keeps a variance away from 0


def read_model(path: Path) -> onnx.ModelProto:
    """Reads a skeleton and draws its weights, or reads a complete `.onnx` file."""
    if not path.name.endswith(SUFFIX):
        return onnx.load(path)
    model = onnx.ModelProto.FromString(lzma.decompress(path.read_bytes()))
    for tensor in _tensors(model.graph):
        if tensor.doc_string.startswith("normal:"):
            _draw(tensor)
    return model


def find_models(folder: Path) -> list[Path]:
    """Returns every skeleton and every ONNX file of a folder, by name."""
    return sorted([*folder.glob(f"*{SUFFIX}"), *folder.glob("*.onnx")])


def name_of(path: Path) -> str:
    """Returns the model's name: that of its file without the suffix."""
    return path.name.removesuffix(".xz").removesuffix(".onnx")


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _tensors(attribute.g)
            elif node.op_type == "Constant" and attribute.name == "value":
                yield attribute.t


def _draw(tensor: onnx.TensorProto) -> None:
    mean, std, low = (float(part) for part in tensor.doc_string.split(":")[1:])
    generator = np.random.default_rng(zlib.crc32(tensor.name.encode()))
    values = generator.standard_normal(tuple(tensor.dims), dtype=np.float32)
    values = values * np.float32(std) + np.float32(mean)
    if low >= 0:
        values = np.abs(values) + np.float32(_SMALLEST)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    tensor.raw_data = values.astype(dtype).tobytes()
    tensor.ClearField("doc_string")
