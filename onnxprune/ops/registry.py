"""All operators by domain, type and opset version."""

from __future__ import annotations

from functools import cache

from onnxprune.ir.graph import nodes
from onnxprune.ir.model import Model
from onnxprune.ops import (
    attention,
    blockwise,
    broadcasting,
    contrib,
    contrib_attention,
    contrib_experts,
    contrib_layers,
    contrib_normalization,
    control,
    convolution,
    elementwise,
    indexing,
    layout,
    linear,
    normalization,
    opaque,
    pooling,
    quantized,
    quantized_transformers,
    recurrent,
    reduction,
    segments,
    signals,
)
from onnxprune.ops.operator import Operator

FAMILIES = (
    attention,
    blockwise,
    broadcasting,
    contrib,
    contrib_attention,
    contrib_experts,
    contrib_layers,
    contrib_normalization,
    control,
    convolution,
    elementwise,
    indexing,
    layout,
    linear,
    normalization,
    opaque,
    pooling,
    quantized,
    quantized_transformers,
    recurrent,
    reduction,
    segments,
    signals,
)


@cache
def _table() -> dict[tuple[str, str], list[Operator]]:
    table: dict[tuple[str, str], list[Operator]] = {}
    for family in FAMILIES:
        for operator in family.OPERATORS:
            table.setdefault((operator.domain, operator.name), []).append(operator)
    for versions in table.values():
        versions.sort(key=lambda operator: -operator.since)
    return table


def lookup(domain: str, op_type: str, version: int) -> Operator | None:
    """The newest description of an operator that holds for `version`; None if there is none."""
    domain = "" if domain == "ai.onnx" else domain
    for operator in _table().get((domain, op_type), ()):
        if operator.since <= version:
            return operator
    return None


def is_quantized(model: Model) -> bool:
    """Whether an operator of a model reads integers that stand for other numbers."""
    versions = model.opset
    known = (lookup(n.domain, n.op_type, versions.get(n.domain, 1)) for n in nodes(model.proto))
    return any(operator.encodings for operator in known if operator is not None)


def all_operators() -> list[Operator]:
    """Every operator that has a signature."""
    return [operator for versions in _table().values() for operator in versions]
