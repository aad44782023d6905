"""What is known of a model's values, from its text."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprune.ir.bindings import input_shapes
from onnxprune.ir.shapes import Facts, interpret
from tests.texts import Weight, proto_of


def facts_of(text: str, weights: Mapping[str, Weight] | None = None, *, opset: int = 17) -> Facts:
    """Shapes, types and values at the first binding of the inputs."""
    proto = proto_of(text, weights or {}, opset=opset)
    return interpret(proto, input_shapes(proto))
