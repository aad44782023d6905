"""Fold what follows from shapes and small constants alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnxprune.passes.work import PassReport, Work


@dataclass(frozen=True, kw_only=True)
class FoldConstants:
    """Bring the model into canonical form; see `onnxprune.ir.canonical`.

    Shape arithmetic becomes constants wherever it is static, `Constant` nodes become initializers,
    local functions are inlined. Weights are left alone, and no tensor above 2**20 elements is made.
    """

    name: ClassVar[str] = "fold-constants"

    def run(self, work: Work) -> PassReport:
        """Replace the model by its canonical form."""
        before = work.model.node_count
        canonical = work.canonical()
        work.model = canonical.model
        after = work.model.node_count
        did = [f"folded {before - after} of {before} nodes"] if after < before else []
        return PassReport(self.name, after < before, did)
