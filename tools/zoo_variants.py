"""Variants of a model: in float16, and as ONNX Runtime's offline optimization leaves it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

_LEVELS = {
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
}
LEVELS = tuple(_LEVELS)
_ERRORS_ONLY = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """What is done to a model before it is pruned.

    Attributes:
        float16: whether its float32 tensors become float16, inputs and outputs too.
        optimized: the level of ONNX Runtime's offline optimization, one of `LEVELS`, or "".
    """

    float16: bool = False
    optimized: str = ""

    def __str__(self) -> str:
        """What was done, in words; "" if nothing was."""
        optimized = f"optimized ({self.optimized})" if self.optimized else ""
        return ", ".join(part for part in ("float16" if self.float16 else "", optimized) if part)

    def of(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Makes the variant of a model, which may be changed."""
        if self.float16:
            model = _to_float16(model)
        return _optimized(model, self.optimized) if self.optimized else model


def _to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Converts with ONNX Runtime's own converter.

    Where two nodes that need float32 read one value, it casts that value twice under one name;
    and it puts casts behind the nodes that read them.
    """
    model = convert_float_to_float16(model)
    made: set[str] = set()
    for node in list(model.graph.node):
        if made.issuperset(node.output):
            model.graph.node.remove(node)
        made.update(node.output)
    OnnxModel(model).topological_sort()
    return model


def _optimized(model: onnx.ModelProto, level: str) -> onnx.ModelProto:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = _LEVELS[level]
    options.log_severity_level = _ERRORS_ONLY
    with tempfile.TemporaryDirectory(prefix="zoo-report-") as scratch:
        path = Path(scratch) / "optimized.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return onnx.load(path)
