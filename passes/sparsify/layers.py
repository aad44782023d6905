"""What may become sparse: the weights of products.

Scales and biases of normalisations, embedding tables, positions and the scales of quantized weights
are none of these: zeros there save nothing and cost much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnxprune.axes import Dim
from onnxprune.coupling.analysis import Analysis, ignored
from onnxprune.coupling.placed import Placed
from onnxprune.ops.affine import Linear, linear_form
from onnxprune.passes.work import Refusal

_SUMMED = frozenset(("contracted", "reduced", "handed"))
"""Roles of letters that an operator sums over."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A weight that operators multiply with.

    Attributes:
        weight: the name by which they read it.
        size: its number of elements.
        forms: what each of them computes with it; None where that is no matrix product.
        channels: what each of them sums over, without the taps of a kernel.
        axis: the axis of the weight that holds these; -1 where they differ or one has no form.
    """

    weight: str
    size: int
    forms: tuple[Linear | None, ...]
    channels: tuple[int, ...]
    axis: int


def find_layers(
    analysis: Analysis, ignore: Iterable[str] = ()
) -> tuple[list[Layer], list[Refusal]]:
    """The weights that may become sparse, in graph order, and those that may not.

    Args:
        analysis: the model.
        ignore: glob patterns; the weights that matching nodes read stay as they are.
    """
    skipped = ignored([placed.node for placed in analysis.placed], [*ignore])
    kept = {info.name for info in analysis.canonical.model.proto.graph.output}
    readers: dict[str, list[tuple[Placed, int]]] = defaultdict(list)
    for placed in analysis.placed:
        for operand, name in enumerate(placed.node.inputs):
            readers[name].append((placed, operand))
    layers: list[Layer] = []
    refused: list[Refusal] = []
    for name in dict.fromkeys(name for name in readers if _is_weight(analysis, name)):
        reason, node = _refusal(analysis, name, readers[name], skipped)
        if name in kept:
            reason, node = "the model gives it as an output", ""
        if reason:
            refused.append(Refusal(reason, node, analysis.parameters(analysis.weight_of(name))))
            continue
        nodes = [placed for placed, _ in readers[name]]
        forms = tuple(linear_form(placed.site, {}) for placed in nodes)
        size = analysis.parameters(analysis.weight_of(name))
        axes = {_axis(placed) for placed in nodes}
        axis = axes.pop() if len(axes) == 1 and None not in forms else -1
        layers.append(Layer(name, size, forms, tuple(map(_channels, nodes)), axis))
    return layers, refused


def _is_weight(analysis: Analysis, name: str) -> bool:
    """Whether a value is a weight of more than one axis, itself or decoded, and told of once."""
    weight = analysis.weight_of(name)
    if not weight or weight not in analysis.values or weight in analysis.steps:
        return False
    if name == weight and weight in analysis.decoded.values():
        return False
    return sum(size > 1 for size in analysis.values[weight].shape) > 1


def _refusal(
    analysis: Analysis,
    name: str,
    readers: Iterable[tuple[Placed, int]],
    skipped: Iterable[tuple[str, ...]],
) -> tuple[str, str]:
    """Why a weight stays as it is, and the node that it does for; "" where it need not."""
    for placed, operand in readers:
        if placed.node.outputs[:1] in skipped:
            return "ignored as asked", ""
        if not _multiplies(placed, operand):
            return f"{placed.node.op_type} does not multiply by it", placed.node.name
    if name in analysis.encoded:
        return "integers that operators read as such stay as they are", ""
    return "", ""


def _multiplies(placed: Placed, operand: int) -> bool:
    """Whether a node sums products of an operand with another one."""
    operator = placed.operator
    roles = {role.name for role in placed.site.roles if role.operand == operand}
    if operator is None or not operator.macs:
        return "contracted" in roles
    return not roles.isdisjoint(_SUMMED)


def _summed(placed: Placed) -> Iterator[Dim]:
    """What a node sums over along its weight, without the taps of a kernel."""
    roles = placed.site.roles
    return (role.dim for role in roles if role.operand == 1 and role.name == "contracted")


def _channels(placed: Placed) -> int:
    """The channels that a node sums over; of a grouped convolution those of one group."""
    return next((dim.size for dim in _summed(placed)), 0)


def _axis(placed: Placed) -> int:
    """The axis of a node's weight that these lie on; -1 where there is none."""
    summed = {dim.root for dim in _summed(placed)}
    dims = placed.site.x(1).dims
    return next((axis for axis, dim in enumerate(dims) if dim.root in summed), -1)
