"""ONNX Runtime's quantizers, by the names that `tools/zoo_report --quantized` takes.

Static quantization is calibrated with seeded random inputs: what it makes of the numbers is of no
use to anyone, what it makes of the graph is what a user's model has.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx.version_converter import convert_version
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

import onnxprune as op
from onnxprune.data.random import Feeds
from onnxprune.pipelines.inputs import Inputs

_SAMPLES = 4
_BLOCK = 32
"""Elements of a row that share a scale, where weights have four bits."""
_UNTOLD = {"DefaultTensorType": onnx.TensorProto.FLOAT}
"""What tensors are of whose type the quantizers cannot tell."""
_BLOCKS_SINCE = 21
"""First opset in which DequantizeLinear knows blocks."""
_SIGNED_KERNELS = ("MatMul", "Gemm", "Gather", "LSTM", "Attention")
"""What takes signed weights beside unsigned activations: ONNX Runtime's ConvInteger does not."""


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


def _dynamic(model: onnx.ModelProto, weights: QuantType, per_channel: bool) -> onnx.ModelProto:
    signed = list(_SIGNED_KERNELS) if weights is QuantType.QInt8 else None
    with tempfile.TemporaryDirectory(prefix="zoo-report-") as scratch:
        path = Path(scratch) / "quantized.onnx"
        quantize_dynamic(
            _prepared(model, Path(scratch)),
            path,
            op_types_to_quantize=signed,
            per_channel=per_channel,
            weight_type=weights,
            extra_options=_UNTOLD,
        )
        return onnx.load(path)


def _static(model: onnx.ModelProto, form: QuantFormat) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="zoo-report-") as scratch:
        path = Path(scratch) / "quantized.onnx"
        prepared = _prepared(model, Path(scratch))
        quantize_static(
            prepared,
            path,
            _Reader(Inputs(op.load(prepared), {}).feeds(_SAMPLES)),
            quant_format=form,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=_UNTOLD,
        )
        return onnx.load(path)


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


def _prepared(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The model as the quantizers want it: optimized, with the shapes that are known.

    Those of weights are left out: the dynamic quantizer transposes weights and is then at odds with
    what the file says of them.
    """
    given, path = folder / "given.onnx", folder / "prepared.onnx"
    onnx.save(model, given)
    quant_pre_process(given, path, skip_symbolic_shape=True)
    prepared = onnx.load(path)
    weights = {tensor.name for tensor in prepared.graph.initializer}
    for info in [info for info in prepared.graph.value_info if info.name in weights]:
        prepared.graph.value_info.remove(info)
    return prepared


class _Reader(CalibrationDataReader):
    """Hands out one set of inputs after the other."""

    def __init__(self, sets: list[Feeds]) -> None:
        self._left: Iterator[Feeds] = iter(sets)

    def get_next(self) -> Feeds | None:
        return next(self._left, None)


QUANTIZERS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "dynamic": lambda model: _dynamic(model, QuantType.QUInt8, per_channel=False),
    "dynamic-int8": lambda model: _dynamic(model, QuantType.QInt8, per_channel=True),
    "qdq": lambda model: _static(model, QuantFormat.QDQ),
    "qoperator": lambda model: _static(model, QuantFormat.QOperator),
    "nbits": lambda model: _four_bits(model, QuantFormat.QOperator),
    "nbits-qdq": lambda model: _four_bits(model, QuantFormat.QDQ),
}
"""Dynamic quantization with unsigned weights, and with signed ones channel by channel; static
quantization channel by channel, as pairs of operators around those in floating point and as
operators of its own; and four-bit weights in blocks, likewise in both forms."""
