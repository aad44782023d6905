"""Every selector by name."""

from __future__ import annotations

from onnxprune.passes.plugins import Registry
from onnxprune.passes.select.ranked import isomorphic, ranked
from onnxprune.passes.select.selection import Selector
from onnxprune.passes.select.uniform import uniform

SELECTORS: Registry[Selector] = Registry(
    "scope",
    "onnxprune.selectors",
    {"uniform": uniform, "global": ranked, "isomorphic": isomorphic},
)
"""What a ratio is meant of; packages add to it by entry points."""
