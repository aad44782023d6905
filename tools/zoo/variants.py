"""Variants of a model: what users do to one before they prune it.

It may be in float16, optimized by ONNX Runtime's transformer optimizer, quantized
(`quantizers.py`), and as ONNX Runtime's offline optimization leaves it, in that order.
"""

import logging
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

import onnx
import onnxruntime
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from onnxruntime.transformers.optimizer import MODEL_TYPES, optimize_model
from zoo.quantizers import quantized

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
        transformers: the type of model that ONNX Runtime's transformer optimizer takes it for, and
            how many heads it has if the optimizer cannot tell, as `model_type` reads it; or "".
        quantized: the quantizer, one of `quantizers.QUANTIZERS`, or "".
        optimized: the level of ONNX Runtime's offline optimization, one of `LEVELS`, or "".
    """

    float16: bool = False
    transformers: str = ""
    quantized: str = ""
    optimized: str = ""

    def __str__(self) -> str:
        """What was done, in words; "" if nothing was."""
        done = {part.name: getattr(self, part.name) for part in fields(self)}
        words = (
            f"{name} ({how})" if how is not True else name for name, how in done.items() if how
        )
        return ", ".join(words)

    def of(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Makes the variant of a model, which may be changed."""
        if self.float16:
            model = _to_float16(model)
        if self.transformers:
            model = _fused(model, self.transformers)
        if self.quantized:
            model = quantized(model, self.quantized)
        return _optimized(model, self.optimized) if self.optimized else model

    def cached(self, model: onnx.ModelProto, name: str, folder: Path | None) -> onnx.ModelProto:
        """Makes the variant of a model, or reads it where it was left the last time.

        Args:
            model: the model, which may be changed.
            name: of the model.
            folder: where variants are left; None for nowhere.
        """
        if folder is None or not str(self):
            return self.of(model)
        path = folder / f"{name}.{str(self).replace(' ', '')}.onnx"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            onnx.save(self.of(model), unfinished)
            unfinished.rename(path)
        return onnx.load(path)


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


def model_type(text: str) -> str:
    """Reads TYPE, TYPE:HEADS or nothing.

    Raises:
        ValueError: it is something else.
    """
    name, colon, heads = text.partition(":")
    if text and (name not in MODEL_TYPES or (colon and not int(heads))):
        raise ValueError(text)
    return text


def _fused(model: onnx.ModelProto, text: str) -> onnx.ModelProto:
    """Fuses what the transformer optimizer knows.

    By default it begins with basic optimization, but asks PyTorch about GPUs for that.
    """
    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    name, _, heads = text.partition(":")
    with tempfile.TemporaryDirectory(prefix="zoo-report-") as scratch:
        path = Path(scratch) / "model.onnx"
        onnx.save(_optimized(model, "basic"), path)
        fused: onnx.ModelProto = optimize_model(
            str(path), name, num_heads=int(heads or 0), opt_level=0
        ).model
        return fused


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
