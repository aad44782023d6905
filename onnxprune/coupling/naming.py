"""What a group is called after: a weight, or the node that reads it where the weight has no name.

Exporters that fold weights into each other give them running numbers, such as ``onnx::Conv_749``;
the node ``/layer1/conv1/Conv`` still says where one is.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed

_STANDARD = "onnx"
"""The name of the format itself, which says nothing either."""


class Names:
    """Names of a model's weights for readers."""

    def __init__(self, analysis: Analysis) -> None:
        """See which nodes read which weights.

        Args:
            analysis: of the model.
        """
        self._types = {placed.node.op_type for placed in analysis.placed}
        self._readers: dict[str, str] = {}
        for placed in analysis.placed:
            if computes(placed, analysis):
                sources = (analysis.sources.get(name, ()) for name in placed.node.inputs)
                for source in (source for found in sources for source in found):
                    self._readers.setdefault(source, placed.node.name)

    def of(self, weight: str) -> str:
        """The weight's name, or if that is a running number that of the first node that reads it.

        Args:
            weight: its name.
        """
        reader = self._readers.get(weight, "")
        named = not is_number(reader, self._types) and is_number(weight, self._types)
        return reader if named else weight


def is_number(name: str, types: Collection[str]) -> bool:
    """Whether a name says nothing but a number, and at most a type of operator.

    Args:
        name: of a weight or node.
        types: types of operators.
    """
    words: list[str] = re.findall(r"[^\W\d_]+\d*[^\W\d_]+|[^\W\d_]+", name)
    return all(word in types or word == _STANDARD for word in words)


def computes(placed: Placed, analysis: Analysis) -> bool:
    """Whether an operator makes anything that is no constant."""
    return any(name and name not in analysis.sources for name in placed.node.outputs)
