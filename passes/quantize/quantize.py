"""Quantize what is left, by ONNX Runtime's quantizers: weights and activations of 8 bits.

The float model that is quantized is kept (`Work.unquantized`): the proof is about that, for
rounding changes every number on purpose. What it costs is measured, against that model and against
the original.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnxprune.data.batches import Batch
from onnxprune.data.narrow import narrowed
from onnxprune.data.random import Feeds
from onnxprune.errors import (
    ModelError,
    NothingToPruneError,
    RuntimeFailureError,
    UsageError,
    unknown,
)
from onnxprune.ir.encode import inline_bytes
from onnxprune.ir.graph import Node, matches, nodes
from onnxprune.ir.load import load_bytes
from onnxprune.ir.merge import merge_views
from onnxprune.ir.model import Model
from onnxprune.ir.rewritten import raised, restored, with_names
from onnxprune.ir.save import EXTERNAL_THRESHOLD_BYTES
from onnxprune.ir.tensors import Tensor
from onnxprune.ops.registry import is_quantized
from onnxprune.passes.sparsify.storage import StoreSparsely
from onnxprune.passes.stand_in import random_batches
from onnxprune.passes.work import Pass, PassReport, Work, ports_of
from onnxprune.progress import track
from onnxprune.runtime.quantization import (
    prepared,
    quantized_dynamically,
    quantized_statically,
)
from onnxprune.verify.sessions import session_of

MODES = ("qdq", "dynamic")
"""Static, with scales of activations from data, and dynamic, with scales found at each run."""

_STEPS_SINCE = 11
"""First opset that the quantizers write."""
_CHANNELS_SINCE = 13
"""First opset in which the channels of a tensor have scales of their own."""


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """Quantize the model to 8 bits, as the last pass.

    Attributes:
        mode: ``qdq`` (static, calibrated on the data) or ``dynamic`` (no data needed).
        per_channel: whether the channels of a weight have scales of their own.
        symmetric: whether activations are int8 around 0, as TensorRT wants them; else uint8.
        ignore: glob patterns over names of nodes and values and over operator types; what a
            matching node computes stays in floating point.
        seed: of random inputs, on which the result is tried where there is no data.
    """

    name: ClassVar[str] = "quantize"

    mode: str = "qdq"
    per_channel: bool = True
    symmetric: bool = False
    ignore: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse options that make no sense."""
        if self.mode not in MODES:
            raise unknown("mode of quantization", self.mode, MODES)
        if self.symmetric and self.mode == "dynamic":
            raise UsageError(
                "symmetric activations are for static quantization",
                why="ONNX Runtime's dynamic quantization has uint8 activations only",
                hint="take qdq, or leave symmetric out",
            )

    def run(self, work: Work) -> PassReport:
        """Replace the model by its quantized form.

        Raises:
            UsageError: data is needed and not there, or a pattern matches nothing.
            NothingToPruneError: the model is quantized already, or nothing in it can be.
            ModelError: the model is too large.
            RuntimeFailureError: ONNX Runtime cannot quantize the model, or run the result.
        """
        self.require(work.model, work.data)
        model = merge_views(work.model, work.provenance)
        _require_small(model)
        given = prepared(raised(model, self._least_opset).to_bytes())
        ready = with_names(load_bytes(given, "the model to quantize"))
        made = load_bytes(self._quantized(ready, model, work), "the quantized model")
        if not is_quantized(made):
            raise NothingToPruneError(
                "nothing was quantized: ONNX Runtime's quantizer leaves every operator as it is",
                why=f"mode {self.mode}"
                + (f", without what matches {', '.join(self.ignore)}" if self.ignore else ""),
                hint="leave quantization out" + (", or ignore less" if self.ignore else ""),
            )
        result = restored(made, model)
        self._require_running(result, model, work)
        work.unquantized, work.model = model, result
        before, after = (sum(x.size for x in _matrices(m) if _is_float32(x)) for m in (ready, made))
        did = [f"quantized {1 - after / before if before else 0:.1%} of the numbers in matrices"]
        opsets = [x.opset.get("", 0) for x in (model, result)]
        if opsets[0] != opsets[1]:
            did.append(f"raised the opset from {opsets[0]} to {opsets[1]}")
        return PassReport(self.name, True, did)

    def require(self, model: Model, data: Iterable[Batch] | None) -> None:
        """Check what can be known before the long work.

        Args:
            model: the model, or what it comes from.
            data: calibration data, if there is any.

        Raises:
            UsageError: data is needed and not there.
            NothingToPruneError: the model is quantized already.
            ModelError: its weights are in another type than float32.
        """
        if self.mode == "qdq" and data is None:
            raise UsageError(
                "static quantization needs data, to find the ranges of activations",
                hint="give --data or --calibration (data= in the library), or take dynamic "
                "quantization, which needs none",
            )
        if is_quantized(model):
            raise NothingToPruneError(
                "the model is quantized already",
                why="some of its operators read integers that stand for other numbers",
                hint="quantize the float model that it was made of, or leave quantization out",
            )

        weights = _matrices(model)
        if weights and not any(map(_is_float32, weights)):
            raise ModelError(
                f"a model in {weights[0].dtype} cannot be quantized",
                why="ONNX Runtime's quantizers work on float32",
                hint="prune and quantize the float32 model that it was made of",
            )

    @property
    def _least_opset(self) -> int:
        return _CHANNELS_SINCE if self.mode == "qdq" and self.per_channel else _STEPS_SINCE

    def _quantized(self, ready: Model, model: Model, work: Work) -> bytes:
        exclude = _excluded(self.ignore, model, ready)
        content = ready.to_bytes()
        if self.mode == "dynamic":
            return quantized_dynamically(content, per_channel=self.per_channel, exclude=exclude)
        ports = ports_of(work.removals)
        data = track(work.data or (), "calibrating quantization")
        return quantized_statically(
            content,
            (narrowed(batch.feeds, ports) for batch in data),
            per_channel=self.per_channel,
            symmetric=self.symmetric,
            exclude=exclude,
        )

    def _require_running(self, result: Model, model: Model, work: Work) -> None:
        feeds = narrowed(self._sample(work), ports_of(work.removals))
        try:
            _run(result, feeds)
        except RuntimeFailureError as error:
            if not _runs(model, feeds):
                return  # it is the inputs that do not fit; verification finds others
            raise RuntimeFailureError(
                "ONNX Runtime cannot run what its quantizer made",
                where=error.where,
                why=error.why,
                hint="leave operators in floating point: --no-quantize PATTERN",
            ) from error

    def _sample(self, work: Work) -> Feeds:
        """Inputs of the original."""
        for batch in work.data or ():
            return batch.feeds
        analysis = work.removals[0].analysis if work.removals else work.study()[0]
        return random_batches(analysis, 1, self.seed)[0].feeds


def check_quantizing(passes: Sequence[Pass], model: Model, data: Iterable[Batch] | None) -> None:
    """Check that quantization, if it is among some passes, comes last and can do its work.

    Args:
        passes: all passes of a pipeline.
        model: the model that they begin with.
        data: calibration data, if there is any.

    Raises:
        UsageError: another pass follows it, or it needs data.
        NothingToPruneError: the model is quantized already.
    """
    for place, step in enumerate(passes):
        if isinstance(step, Quantize):
            step.require(model, data)
            following = [s for s in passes[place + 1 :] if not isinstance(s, StoreSparsely)]
            if following:
                raise UsageError(
                    f"{step.name} comes last",
                    where=f"{following[0].name} follows it",
                    why="what is fitted and proven is the float model",
                    hint="move it to the end, and name it once",
                )


def _require_small(model: Model) -> None:
    if inline_bytes(model) > EXTERNAL_THRESHOLD_BYTES:
        raise ModelError(
            "the model is too large to be quantized",
            why="ONNX Runtime's quantizers are given one protobuf message, of at most 2 GB",
            hint="prune more of it, or leave quantization out",
        )


def _excluded(patterns: Sequence[str], model: Model, ready: Model) -> list[str]:
    """Names of the nodes that stay in floating point.

    Layers were fused since the user named them: what makes the same value, or reads the same
    weight, stands for what matches.

    Raises:
        UsageError: a pattern matches nothing.
    """
    before, after = nodes(model.proto), nodes(ready.proto)
    for pattern in patterns:
        if not any(matches(node.names, (pattern,)) for node in (*before, *after)):
            raise UsageError(
                f"no node matches {pattern!r}",
                hint="patterns are tried on names of nodes and values and on operator types; "
                "`onnxprune inspect` lists groups by their nodes",
            )
    told = {name for node in before if matches(node.names, patterns) for name in _own(node, model)}
    return [
        node.name
        for node in after
        if matches(node.names, patterns) or not told.isdisjoint(_own(node, ready))
    ]


def _own(node: Node, model: Model) -> set[str]:
    """What is told of a node alone: its name, what it makes, and its weights."""
    return {node.name, *node.outputs, *(name for name in node.inputs if name in model.constants)}


def _matrices(model: Model) -> list[Tensor]:
    """Constants of two axes or more in floating point."""
    return [x for x in model.constants.values() if len(x.shape) >= 2 and x.dtype.kind in "fV"]


def _is_float32(tensor: Tensor) -> bool:
    return bool(tensor.dtype == np.float32)


def _run(model: Model, feeds: Feeds) -> None:
    with session_of(model, optimization="all", quiet=True) as session:
        session.run(feeds)


def _runs(model: Model, feeds: Feeds) -> bool:
    try:
        _run(model, feeds)
    except RuntimeFailureError:
        return False
    return True
