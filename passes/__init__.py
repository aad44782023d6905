"""Passes: verbs over a model, a file each.

A pass is a frozen dataclass with a `name`; its fields are its options. To add one, write its file
and enter its class in `PASSES`.
"""

if __name__ != "onnxprune.passes":
    raise ImportError("the passes are imported as onnxprune.passes, not as passes")

from typing import Any

from onnxprune.passes.fold.constants import FoldConstants
from onnxprune.passes.fold.empty import FoldEmpty
from onnxprune.passes.quantize.quantize import Quantize
from onnxprune.passes.remove.blocks import RemoveBlocks
from onnxprune.passes.remove.channels import RemoveChannels
from onnxprune.passes.remove.redundant import RemoveRedundant
from onnxprune.passes.remove.replay import ApplyPlan
from onnxprune.passes.repair.repair import Repair
from onnxprune.passes.sparsify.permute import PermuteChannels
from onnxprune.passes.sparsify.sparsify import Sparsify
from onnxprune.passes.sparsify.storage import StoreSparsely

PASSES: dict[str, Any] = {
    kind.name: kind
    for kind in (
        FoldConstants,
        RemoveRedundant,
        RemoveBlocks,
        RemoveChannels,
        ApplyPlan,
        FoldEmpty,
        Repair,
        PermuteChannels,
        Sparsify,
        Quantize,
        StoreSparsely,
    )
}
"""Every pass by name."""

__all__ = [
    "PASSES",
    "ApplyPlan",
    "FoldConstants",
    "FoldEmpty",
    "PermuteChannels",
    "Quantize",
    "RemoveBlocks",
    "RemoveChannels",
    "RemoveRedundant",
    "Repair",
    "Sparsify",
    "StoreSparsely",
]
