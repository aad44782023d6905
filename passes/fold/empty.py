"""Fold what became empty: a group pruned to nothing takes its branch with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar

from onnxprune.axes import Keeps, kept_size
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.bindings import input_shapes
from onnxprune.ir.empty import fold_empty, has_empty
from onnxprune.ir.model import Model
from onnxprune.ir.shapes import interpret
from onnxprune.passes.work import PassReport, Work


@dataclass(frozen=True, kw_only=True)
class FoldEmpty:
    """Remove branches without channels, the Add or Concat that they fed, and dead nodes."""

    name: ClassVar[str] = "fold-empty"

    def run(self, work: Work) -> PassReport:
        """Fold the model as it is now, if some weight of it became empty."""
        spared = _empty_before(work.removals[0].analysis) if work.removals else frozenset[str]()
        if not has_empty(work.model, spared):
            return PassReport(self.name)
        last = work.removals[-1] if work.removals else None
        if last is not None and last.pruned is work.model:
            folded = _folded(last.analysis, last.keeps, work.model, spared)
        else:
            inputs = input_shapes(work.model.proto, work.input_shapes)
            folded = fold_empty(work.model, interpret(work.model.proto, inputs), spared)
        before, after = (model.node_count for model in (work.model, folded))
        work.model = folded
        did = [f"removed {before - after} nodes of branches without channels"]
        return PassReport(self.name, after < before, did if after < before else [])


def without_empty(analysis: Analysis, keeps: Keeps, pruned: Model) -> Model:
    """What a removal left, without what is empty; the same model where nothing is.

    The shapes are those of the analysis: a Reshape to a shape with a 0 in it would not tell them,
    for there 0 stands for the size that it was.

    Args:
        analysis: of the model before the removal.
        keeps: what stays of each leaf.
        pruned: the model after it.

    Raises:
        ModelError: an operator that needs the channels that are gone.
    """
    spared = _empty_before(analysis)
    return _folded(analysis, keeps, pruned, spared) if has_empty(pruned, spared) else pruned


def _folded(analysis: Analysis, keeps: Keeps, pruned: Model, spared: Collection[str]) -> Model:
    shapes = {
        name: tuple(kept_size(dim, keeps) for dim in value.dims)
        for name, value in analysis.values.items()
    }
    return fold_empty(pruned, replace(analysis.canonical.facts, shapes=shapes), spared)


def _empty_before(analysis: Analysis) -> frozenset[str]:
    """The values of a model that have no elements though nothing was removed yet."""
    shapes = analysis.canonical.facts.shapes
    return frozenset(name for name, shape in shapes.items() if 0 in shape)
