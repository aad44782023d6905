"""ONNX Runtime's quantizers, on models as bytes.

They take models from files and write files, say much on the way, and fail with whatever exception
comes along. Here they work in a temporary folder and in silence, and fail with one kind of error.
"""

import contextlib
import importlib
import io
import logging
import tempfile
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from onnxprune.errors import OnnxPruneError, RuntimeFailureError, UsageError
from onnxprune.runtime.binding import Array, explain, load_onnxruntime

Form = Literal["qdq", "operators"]
"""Pairs of operators around those in floating point, or operators of their own."""

_FORMS: Final = {"qdq": "QDQ", "operators": "QOperator"}
_FLOAT: Final = 1
_UNTOLD: Final = {"DefaultTensorType": _FLOAT}
"""What tensors are of whose type the quantizers cannot tell."""
_UNSIGNED_ALONE: Final = ("Conv",)
"""What takes only unsigned weights with one scale beside dynamic activations (ConvInteger)."""
_SIGNED_TOO: Final = ("MatMul", "Gemm", "Gather", "LSTM", "Attention")
"""What takes signed weights, with a scale for each channel, as well."""


def prepared(model: bytes) -> bytes:
    """A model as the quantizers want it: normalizations folded into layers, and shapes inferred.

    Args:
        model: a serialized model.

    Raises:
        RuntimeFailureError: ONNX Runtime cannot prepare it.
    """
    with _scratch("prepare for quantization") as folder:
        (folder / "in.onnx").write_bytes(model)
        preparing: Any = _module("shape_inference")
        preparing.quant_pre_process(
            str(folder / "in.onnx"), str(folder / "out.onnx"), skip_symbolic_shape=True
        )
        return (folder / "out.onnx").read_bytes()


def quantized_statically(
    model: bytes,
    feeds: Iterable[Mapping[str, Array]],
    *,
    per_channel: bool = True,
    symmetric: bool = False,
    exclude: Sequence[str] = (),
    form: Form = "qdq",
) -> bytes:
    """Quantize weights and activations to 8 bits; scales of activations come from data.

    The range of an activation is the smallest that holds all that was seen.

    Args:
        model: a serialized model, see `prepared`.
        feeds: a tensor for each input; gone through once, one at a time.
        per_channel: whether the channels of a weight have scales of their own.
        symmetric: whether activations are int8 around 0, else uint8 with a zero point.
        exclude: names of nodes that stay as they are.
        form: how the result is written.

    Raises:
        RuntimeFailureError: ONNX Runtime cannot quantize the model, or cannot run it.
        UsageError: there are no feeds.
    """
    with _scratch("quantize") as folder:
        quantization = _module()
        types, reader = quantization.QuantType, _Reader(feeds)
        (folder / "in.onnx").write_bytes(model)
        if not reader:
            raise UsageError("there is no data to calibrate quantization on")
        quantization.quantize_static(
            str(folder / "in.onnx"),
            str(folder / "out.onnx"),
            reader,
            quant_format=getattr(quantization.QuantFormat, _FORMS[form]),
            per_channel=per_channel,
            activation_type=types.QInt8 if symmetric else types.QUInt8,
            weight_type=types.QInt8,
            nodes_to_exclude=list(exclude),
            extra_options=_UNTOLD | {"ActivationSymmetric": symmetric},
        )
        return (folder / "out.onnx").read_bytes()


def quantized_dynamically(
    model: bytes, *, per_channel: bool = True, exclude: Sequence[str] = ()
) -> bytes:
    """Quantize weights to 8 bits; activations are quantized at each run, by what they hold then.

    Args:
        model: a serialized model, see `prepared`.
        per_channel: whether the channels of a weight have scales of their own, where ONNX Runtime
            takes that: of convolutions it does not.
        exclude: names of nodes that stay as they are.

    Raises:
        RuntimeFailureError: ONNX Runtime cannot quantize the model.
    """
    kinds = [_UNSIGNED_ALONE, _SIGNED_TOO] if per_channel else [(*_UNSIGNED_ALONE, *_SIGNED_TOO)]
    with _scratch("quantize") as folder:
        quantization = _module()
        # It makes a MatMul of each Gemm first.
        kept = [*exclude, *(f"{name}_MatMul" for name in exclude)]
        path = folder / "0.onnx"
        path.write_bytes(model)
        for number, types in enumerate(kinds, 1):
            made = folder / f"{number}.onnx"
            signed = types is _SIGNED_TOO
            quantization.quantize_dynamic(
                str(path),
                str(made),
                op_types_to_quantize=list(types),
                per_channel=signed,
                weight_type=getattr(quantization.QuantType, "QInt8" if signed else "QUInt8"),
                nodes_to_exclude=kept,
                extra_options=dict(_UNTOLD),
            )
            path = made
        return path.read_bytes()


class _Reader:
    """Hands out one set of inputs after the other; see `CalibrationDataReader` of ONNX Runtime."""

    def __init__(self, feeds: Iterable[Mapping[str, Array]]) -> None:
        self._left: Iterator[Mapping[str, Array]] = iter(feeds)
        self._first = next(self._left, None)

    def __bool__(self) -> bool:
        return self._first is not None

    def get_next(self) -> dict[str, Array] | None:
        given, self._first = self._first, None
        given = next(self._left, None) if given is None else given
        return None if given is None else dict(given)


def _module(name: str = "") -> Any:
    """The module of the quantizers, or a part of it; imported at the first call and no sooner."""
    load_onnxruntime()
    return importlib.import_module(f"onnxruntime.quantization{name and f'.{name}'}")


@contextlib.contextmanager
def _scratch(what: str) -> Generator[Path]:
    """A folder for a quantizer to work in, where nobody hears it; its failures become one error."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="onnxprune-") as folder,
            contextlib.redirect_stdout(io.StringIO()),
            np.errstate(all="ignore"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield Path(folder)
    except OnnxPruneError:
        raise
    except Exception as error:
        raise RuntimeFailureError(
            f"ONNX Runtime cannot {what} the model",
            why=explain(error).partition("\n")[0] or type(error).__name__,
            hint="--no-quantize PATTERN leaves what matches in floating point",
        ) from error
    finally:
        logging.disable(before)
