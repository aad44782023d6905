"""What is known of the values of channels in a whole model; see `onnxprune.ops.channels`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.elements import is_float_type
from onnxprune.ir.evaluate import NodeEvaluator
from onnxprune.ops.channels import ChannelRules
from onnxprune.ops.numbering import Channels
from onnxprune.ops.site import Value


def channel_values(analysis: Analysis) -> dict[str, Channels]:
    """What is known of the activations of the main graph, by name."""
    canonical = analysis.canonical
    constants, types = canonical.model.constants, canonical.facts.elem_types

    def elements(value: Value) -> npt.NDArray[Any] | None:
        tensor = constants.get(value.name)
        known = tensor is not None and is_float_type(tensor.elem_type)
        return tensor.numpy().astype(np.float64) if tensor is not None and known else None

    rules = ChannelRules(elements, lambda value: is_float_type(types.get(value.name, 0)))
    evaluator = NodeEvaluator(canonical.model)
    for place, placed in enumerate(analysis.placed):
        if placed.operator is not None and not placed.node.within:
            rules.visit(place, placed.site, partial(evaluator.run, place))
    return rules.known
