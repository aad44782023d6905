"""A node of the model with what is known of its axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from onnxprune.axes import Keeps
from onnxprune.ir.graph import Node
from onnxprune.ir.tensors import Tensor
from onnxprune.ops.operator import Operator
from onnxprune.ops.site import Site

Array = npt.NDArray[Any]


@dataclass(slots=True, eq=False)
class Placed:
    """A node with its operator, if it has a signature, and its site.

    Attributes:
        node: the node.
        site: its operands.
        operator: what is known of it.
        runs: how often it runs each time that the model does: in the body of a loop once for each
            iteration, or once where the number of iterations is unknown.
    """

    node: Node
    site: Site
    operator: Operator | None
    runs: int = 1

    def reader(self, constants: Mapping[str, Tensor]) -> Callable[[int], Array | None]:
        """Reads constant inputs by index; what is absent or computed is None.

        Args:
            constants: of the model.
        """
        inputs = self.node.inputs

        def read(index: int) -> Array | None:
            name = inputs[index] if index < len(inputs) else ""
            return constants[name].numpy() if name in constants else None

        return read

    def macs(self, keeps: Keeps) -> int:
        """Multiply-accumulates in one run of the model; none where there is no signature."""
        return self.operator.mac_count(self.site, keeps) * self.runs if self.operator else 0
