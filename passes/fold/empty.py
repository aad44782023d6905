"""Fold what became empty: a group pruned to nothing takes its branch with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnxprune.ir.empty import fold_empty
from onnxprune.passes.work import PassReport, Removal, Work


@dataclass(frozen=True, kw_only=True)
class FoldEmpty:
    """Remove branches without channels, the Add or Concat that they fed, and dead nodes."""

    name: ClassVar[str] = "fold-empty"

    def run(self, work: Work) -> PassReport:
        """Fold the model as it is now, unless the removals before it emptied nothing."""
        if work.removals and not any(_empties(removal) for removal in work.removals):
            return PassReport(self.name)
        folded = fold_empty(work.model, work.input_shapes)
        before, after = (model.node_count for model in (work.model, folded))
        work.model = folded
        did = [f"removed {before - after} nodes of branches without channels"]
        return PassReport(self.name, after < before, did if after < before else [])


def _empties(removal: Removal) -> bool:
    """Whether a removal left nothing of a weight."""
    before = removal.analysis.canonical.model.constants
    after = removal.pruned.constants
    return any(before[name].size and not after[name].size for name in before.keys() & after.keys())
