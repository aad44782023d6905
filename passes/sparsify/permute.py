"""Permute channels, so that N:M patterns keep more of the weights.

Which channels stand side by side is arbitrary: in another order, the same in all weights that carry
them, a network computes the same. J. Pool, C. Yu, "Channel Permutations for N:M Sparsity", NeurIPS
2021; here the dependency graph says which weights carry a channel, through residuals and all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnxprune.axes import Dim, Orders, axis_order, places_of
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import Group
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor
from onnxprune.passes.repair.least_squares import Array
from onnxprune.passes.repair.numbers import Numbers
from onnxprune.passes.sparsify.layers import Layer, find_layers
from onnxprune.passes.sparsify.ordering import better_order, kept_share
from onnxprune.passes.sparsify.pattern import Pattern
from onnxprune.passes.work import PassReport, Work
from onnxprune.progress import track

_LEAST_GAIN = 1e-4
"""An order that keeps only so much more of the magnitude is not worth a change."""


@dataclass(frozen=True, kw_only=True)
class PermuteChannels:
    """Put channels into an order in which an N:M pattern keeps more of the weights' magnitude.

    Attributes:
        pattern: the pattern, ``N:M``.
        ignore: glob patterns; what matching nodes read and make keeps its order.
        seed: of the choice of weights to look at.
    """

    name: ClassVar[str] = "permute-channels"

    pattern: str = "2:4"
    ignore: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            UsageError: the pattern is none.
        """
        Pattern.parse(self.pattern)

    def run(self, work: Work) -> PassReport:
        """Replace the model by one that computes the same."""
        pattern = Pattern.parse(self.pattern)
        analysis, groups = work.study(self.ignore)
        report = PassReport(self.name)
        tables = _tables(analysis, _movable(analysis, groups), pattern)
        orders: dict[Dim, Array] = {}
        shares: list[tuple[float, float, float]] = []
        for leaf, table in track(tables.items(), "permuting channels"):
            order = better_order(table, pattern, self.seed)
            before, after = (kept_share(x, pattern) for x in (table, table[order]))
            if after - before > _LEAST_GAIN:
                orders[leaf] = order
                shares.append((before, after, float(table.sum())))
        if not orders:
            report.did.append("left channels in their order: no other keeps more")
            return report
        work.take_out(analysis, groups, [], {})
        removal = work.removals[-1]
        work.model, removal.changed = _permuted(analysis, orders)
        removal.permuted = report.modified = True
        before, after, weight = np.array(shares).T
        report.did.append(
            f"put {len(orders)} groups of channels in another order: {pattern} keeps "
            f"{np.average(after, weights=weight):.1%} of their readers' magnitude instead of "
            f"{np.average(before, weights=weight):.1%}"
        )
        return report


def _movable(analysis: Analysis, groups: Iterable[Group]) -> set[Dim]:
    """Leaves whose indices may stand in any order."""
    fixed = {leaf for value in analysis.ports for dim in value.dims for leaf in dim.leaves()}
    for placed in analysis.placed:
        if placed.operator is not None and placed.operator.in_order:
            fixed.update(leaf for role in placed.site.roles for leaf in role.dim.leaves())
    for value in analysis.values.values():
        for dim in value.dims:
            if dim.family is not None:
                fixed.update(dim.leaves())
    return {group.leaf for group in groups} - fixed


def _tables(analysis: Analysis, leaves: set[Dim], pattern: Pattern) -> dict[Dim, Array]:
    """Magnitudes of what reads each leaf in rows of the pattern, shape ``[v, r]``."""
    numbers = Numbers(analysis, analysis.canonical.model)
    found: dict[Dim, list[Array]] = defaultdict(list)
    for layer in find_layers(analysis)[0]:
        for leaf, places in _rows(analysis, layer, leaves, pattern):
            weight = np.abs(numbers[layer.weight].astype(np.float32))
            axis = layer.axis
            table = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
            found[leaf].append(table[places].reshape(leaf.size, -1))
    return {leaf: np.concatenate(parts, axis=1) for leaf, parts in found.items()}


def _rows(
    analysis: Analysis, layer: Layer, leaves: set[Dim], pattern: Pattern
) -> Iterable[tuple[Dim, Array]]:
    """The leaves that run along a layer's rows, each M indices side by side, with their places."""
    if layer.axis < 0 or layer.channels[0] % pattern.of:
        return
    dim = analysis.values[layer.weight].dims[layer.axis]
    for leaf in {*dim.leaves()} & leaves:
        places = places_of(dim, leaf)
        beside = leaf.size % pattern.of == 0 and (np.diff(places, axis=0) == 1).all()
        if beside and (places[0] % pattern.of == 0).all():
            yield leaf, places


def _permuted(analysis: Analysis, orders: Orders) -> tuple[Model, frozenset[str]]:
    """The model with its channels in another order, and the names of the constants that changed."""
    model = analysis.canonical.model.copy()
    changed: dict[str, ArrayTensor] = {}
    for name, tensor in model.constants.items():
        dims = analysis.values[name].dims if name in analysis.values else ()
        found = {axis: axis_order(dim, orders) for axis, dim in enumerate(dims)}
        moved = {axis: order for axis, order in found.items() if order is not None}
        if moved:
            array = tensor.numpy()
            for axis, order in moved.items():
                array = array.take(order, axis=axis)
            changed[name] = ArrayTensor(np.ascontiguousarray(array), tensor.elem_type)
    model.set_constants(changed)
    return model, frozenset(changed)
