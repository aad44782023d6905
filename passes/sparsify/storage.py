"""Sparse storage: zeros take no room in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnxprune.ir.merge import merge_views
from onnxprune.ir.sparse import stored_sparsely
from onnxprune.passes.work import PassReport, Work


@dataclass(frozen=True, kw_only=True)
class StoreSparsely:
    """Write weights without their zeros where that makes the file smaller; the last pass.

    A number that stays takes eight bytes more, for its place: of float32 more than two thirds must
    be zero, of float16 four fifths, of int8 eight ninths. A pass that follows gets these weights
    dense, and so does ONNX Runtime, which computes as before.
    """

    name: ClassVar[str] = "store-sparsely"

    def run(self, work: Work) -> PassReport:
        """Compress the weights of the model as it is now."""
        stored = stored_sparsely(merge_views(work.model, work.provenance))
        if not stored.saved:
            did = "left all weights dense: none is smaller without its zeros"
            return PassReport(self.name, did=[did])
        work.model = stored.model
        weights = "1 weight" if len(stored.saved) == 1 else f"{len(stored.saved):,} weights"
        did = f"stored {weights} sparsely: {sum(stored.saved.values()):,} bytes less than dense"
        return PassReport(self.name, True, [did])
