"""Gains: per-channel factors that a normalisation applies behind a layer.

Exporters fold an inference BatchNormalization into the layer before it. Where they did not, the
layer's kernel alone says little about its channels; together with the gain it says what the folded
kernel would say, so that both forms of a model are pruned alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed
from onnxprune.ir.graph import Node


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What stands behind the layers of a model.

    Attributes:
        factors: for a (weight, dim of its output axis), the factor of each index of that axis.
        folded: constants that these factors were computed from; they count no second time.
    """

    factors: dict[tuple[str, Dim], npt.NDArray[np.float64]]
    folded: frozenset[str]


def find_gains(analysis: Analysis) -> Gains:
    """Find the gains that directly follow a layer which nothing else reads."""
    makers = {name: placed for placed in analysis.placed for name in placed.node.outputs if name}
    readers = Counter(name for placed in analysis.placed for name in _read_by(placed.node))
    factors: dict[tuple[str, Dim], npt.NDArray[np.float64]] = {}
    folded: set[str] = set()
    for placed in analysis.placed:
        gain = placed.operator.gain if placed.operator is not None else None
        maker = makers.get(placed.node.inputs[0]) if placed.node.inputs else None
        if gain is None or maker is None or readers[placed.node.inputs[0]] != 1:
            continue
        weights = _weights(analysis, maker, readers)
        names = [placed.node.inputs[index] for index in gain.inputs]
        constants = analysis.canonical.model.constants
        if not weights or any(name not in constants for name in names):
            continue
        factor = gain.compute(placed.site, *(constants[name].numpy() for name in names))
        channels = placed.site.x().dims[gain.axis].root
        for weight in weights:
            factors[weight, channels] = factor
        folded.update(names)
    return Gains(factors, frozenset(folded))


def _read_by(node: Node) -> Iterator[str]:
    """What a node reads, results of its bodies included."""
    yield from node.inputs
    for body in node.bodies:
        yield from body.outputs


def _weights(analysis: Analysis, maker: Placed, readers: Counter[str]) -> list[str]:
    """The constants of a layer that it alone reads and carries into its result."""
    operands = {role.operand for role in maker.site.roles if role.name in ("outer", "batch")}
    names = [maker.node.inputs[operand] for operand in sorted(operands) if operand >= 0]
    weights = {name: analysis.weight_of(name) for name in names}
    return [weight for name, weight in weights.items() if weight and readers[name] == 1]
