"""What a single node makes of known arrays, by ONNX's reference implementation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.reference import ReferenceEvaluator

from onnxprune.errors import OnnxPruneError
from onnxprune.ir.graph import all_nodes
from onnxprune.ir.model import Model
from onnxprune.runtime import Session

AnyArray = npt.NDArray[Any]

_RANDOM = frozenset(
    [
        "Bernoulli",
        "Dropout",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    ]
)
_EVALUATION_ERRORS = (
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What onnx's reference implementations raise for operators or inputs that they do not cover."""
_IR_VERSION = 8
"""Every ONNX Runtime loads it, with any opset that it knows."""
_BODIES = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


def is_function(node: onnx.NodeProto) -> bool:
    """Whether a node is a function of its inputs that can be evaluated by itself."""
    return (
        node.domain in ("", "ai.onnx")
        and node.op_type not in _RANDOM
        and len(node.input) > 0
        and not any(attribute.type in _BODIES for attribute in node.attribute)
    )


def evaluate(node: onnx.NodeProto, feeds: Sequence[AnyArray], opset: int) -> list[AnyArray]:
    """The results of a node.

    Args:
        node: see `is_function`.
        feeds: its inputs, those that are there.
        opset: version of the standard operator set.

    Returns:
        Its results in order; none where the reference does not cover it.
    """
    plain = _by_itself(node)
    names = [name for name in plain.input if name]
    whole = all(feed.dtype.kind in "iu" for feed in feeds)  # no division of these by 0 has a result
    try:
        evaluator = _evaluator(plain.SerializeToString(), opset)
        with np.errstate(all="ignore", divide="raise" if whole else "ignore"):
            results: Any = evaluator.run(  # pyright: ignore[reportUnknownMemberType]
                None, dict(zip(names, feeds, strict=True))
            )
    except _EVALUATION_ERRORS:
        return []
    return [result for result in results if isinstance(result, np.ndarray)]


def evaluate_surely(node: onnx.NodeProto, feeds: Sequence[AnyArray], opset: int) -> list[AnyArray]:
    """As `evaluate`; ONNX Runtime runs what the reference does not cover."""
    results = evaluate(node, feeds, opset)
    if len(results) == len(node.output):
        return results
    plain = _by_itself(node)
    given = dict(zip([name for name in plain.input if name], feeds, strict=True))
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in given.items()
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in plain.output]
    graph = onnx.helper.make_graph([plain], "node", inputs, outputs)
    imports = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION)
    try:
        session = Session(model.SerializeToString(), optimization="none", quiet=True)
        made = session.run({name: np.ascontiguousarray(array) for name, array in given.items()})
    except OnnxPruneError:
        return []
    return [made[name] for name in plain.output]


def _by_itself(node: onnx.NodeProto) -> onnx.NodeProto:
    """A node with names of its own, of which the inputs and outputs of others are no part."""
    plain = onnx.NodeProto()
    plain.op_type = node.op_type
    plain.attribute.extend(node.attribute)
    plain.input.extend(f"i{place}" if name else "" for place, name in enumerate(node.input))
    plain.output.extend(f"o{place}" for place, _ in enumerate(node.output))
    return plain


class NodeEvaluator:
    """Evaluates the nodes of a model by their places (`graph.all_nodes`)."""

    def __init__(self, model: Model) -> None:
        """Prepare for a model."""
        self._nodes = [node for node, _ in all_nodes(model.proto.graph)]
        self._opset = model.opset.get("", 1)

    def run(self, place: int, feeds: Sequence[AnyArray]) -> list[AnyArray]:
        """The results of a node for its inputs; none where they cannot be told."""
        node = self._nodes[place]
        return evaluate(node, feeds, self._opset) if is_function(node) else []


@cache
def _evaluator(node: bytes, version: int) -> ReferenceEvaluator:
    """An evaluator of one node; a node by itself would be taken for one of the newest opset."""
    parsed = onnx.NodeProto.FromString(node)
    inputs, outputs = (
        [onnx.helper.make_empty_tensor_value_info(name) for name in names if name]
        for names in (parsed.input, parsed.output)
    )
    graph = onnx.helper.make_graph([parsed], "node", inputs, outputs)
    opset = [onnx.helper.make_opsetid("", version)]
    return ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=opset))
