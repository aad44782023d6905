"""ONNX Runtime's quantizers, by the names that `tools/zoo_report --quantized` takes.

Static quantization is calibrated with seeded random inputs: what it makes of the numbers is of no
use to anyone, what it makes of the graph is what a user's model has.
"""

import logging
from collections.abc import Callable

import numpy as np
import onnx
from onnx.version_converter import convert_version
from onnxruntime.quantization import QuantFormat

import onnxprune as op
from onnxprune.ir.load import load_bytes
from onnxprune.ir.rewritten import with_names
from onnxprune.pipelines.inputs import Inputs
from onnxprune.runtime.quantization import (
    Form,
    prepared,
    quantized_dynamically,
    quantized_statically,
)

_SAMPLES = 4
_BLOCK = 32
"""Elements of a row that share a scale, where weights have four bits."""
_BLOCKS_SINCE = 21
"""First opset in which DequantizeLinear knows blocks."""


def quantized(model: onnx.ModelProto, how: str) -> onnx.ModelProto:
    """Returns a model as a quantizer leaves it.

    Args:
        model: in floating point.
        how: one of `QUANTIZERS`.
    """
    logging.disable(logging.WARNING)  # one line for each node
    try:
        with np.errstate(all="ignore"):
            return QUANTIZERS[how](model)
    finally:
        logging.disable(logging.NOTSET)


def _dynamic(model: onnx.ModelProto, per_channel: bool) -> onnx.ModelProto:
    ready = _ready(model).to_bytes()
    return onnx.ModelProto.FromString(quantized_dynamically(ready, per_channel=per_channel))


def _static(model: onnx.ModelProto, form: Form) -> onnx.ModelProto:
    ready = _ready(model)
    feeds = Inputs(ready, {}).feeds(_SAMPLES)
    return onnx.ModelProto.FromString(quantized_statically(ready.to_bytes(), feeds, form=form))


def _ready(model: onnx.ModelProto) -> op.Model:
    """The model as the quantizers want it."""
    return with_names(load_bytes(prepared(model.SerializeToString()), "the model"))


def _four_bits(model: onnx.ModelProto, form: QuantFormat) -> onnx.ModelProto:
    # Here, for it imports a package that only this quantizer needs.
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    if form is QuantFormat.QDQ and _opset(model) < _BLOCKS_SINCE:  # it would only claim so
        model = convert_version(model, _BLOCKS_SINCE)
    quantizer = MatMulNBitsQuantizer(model, block_size=_BLOCK, quant_format=form)
    quantizer.process()
    made: onnx.ModelProto = quantizer.model.model
    return made


def _opset(model: onnx.ModelProto) -> int:
    return next(entry.version for entry in model.opset_import if not entry.domain)


QUANTIZERS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "dynamic": lambda model: _dynamic(model, per_channel=False),
    "dynamic-int8": lambda model: _dynamic(model, per_channel=True),
    "qdq": lambda model: _static(model, "qdq"),
    "qoperator": lambda model: _static(model, "operators"),
    "nbits": lambda model: _four_bits(model, QuantFormat.QOperator),
    "nbits-qdq": lambda model: _four_bits(model, QuantFormat.QDQ),
}
"""Dynamic quantization with unsigned weights, and with signed ones channel by channel but in
convolutions; static quantization channel by channel, as pairs of operators around those in
floating point and as operators of its own; and four-bit weights in blocks, likewise in both forms.
"""
