"""Axes that an operator couples with no other axis: where an under-declared signature would show.

A kernel axis is rightly alone; a channel axis is not. Each operator is looked at by itself, so that
no other operator's couplings hide what its signature leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onnxprune.axes import Dim, DimSpace
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed
from onnxprune.ops.site import Site, Value


@dataclass(frozen=True, slots=True, order=True)
class Uncoupled:
    """An axis of more than one index that its operator couples with no other.

    Operands that are lists of sizes or indices are left out.

    Attributes:
        op_type: the operator.
        operand: ``in0``, ``in1``, …, ``out0``, …
        axis: axis of the operand.
        reason: why the operator blocks it; "" if it leaves it free.
    """

    op_type: str
    operand: str
    axis: int
    reason: str


def uncoupled_axes(analysis: Analysis) -> Counter[Uncoupled]:
    """How many nodes leave each axis uncoupled, by operator."""
    return Counter(axis for placed in analysis.placed for axis in _of_node(placed))


def _of_node(placed: Placed) -> Iterator[Uncoupled]:
    operands = (*placed.site.inputs, *placed.site.outputs)
    shaped = len(operands) == len(placed.node.inputs) + len(placed.node.outputs)
    named = (*placed.node.inputs, *placed.node.outputs)
    known = shaped and all(
        value is not None or not name for value, name in zip(operands, named, strict=True)
    )
    if placed.operator is None or not known:
        return
    alone = _by_itself(placed.site)
    placed.operator.relate(alone)
    alone.block_omitted()
    reduced = {leaf for role in alone.roles if role.name == "reduced" for leaf in role.dim.leaves()}
    axes = list(_axes(alone))
    carriers = Counter(leaf for _, _, dim in axes for leaf in set(dim.leaves()))
    for operand, axis, dim in axes:
        leaves = [leaf for leaf in dim.leaves() if leaf.size > 1]
        if leaves and not any(carriers[leaf] > 1 or leaf in reduced for leaf in leaves):
            blocks = sorted(leaf.block for leaf in leaves if leaf.block is not None)
            reason = blocks[0].reason if blocks else ""
            yield Uncoupled(placed.node.op_type, operand, axis, reason)


def _by_itself(site: Site) -> Site:
    """The operator with fresh dims in a space of its own."""
    space = DimSpace()
    fresh: dict[str, Value] = {}

    def renewed(value: Value | None) -> Value | None:
        if value is None:
            return None
        dims = tuple(space.dim(size) for size in value.shape)
        return fresh.setdefault(value.name, replace(value, dims=dims))

    return Site(
        site.name,
        site.op_type,
        site.version,
        site.attributes,
        tuple(map(renewed, site.inputs)),
        tuple(map(renewed, site.outputs)),
        space,
    )


def _axes(site: Site) -> Iterator[tuple[str, int, Dim]]:
    for prefix, values in (("in", site.inputs), ("out", site.outputs)):
        for place, value in enumerate(values):
            if value is None or (value.data is not None and value.data.dtype.kind in "iub"):
                continue  # sizes and indices are no tensors of data
            for axis, dim in enumerate(value.dims):
                if dim.size > 1:
                    yield f"{prefix}{place}", axis, dim
