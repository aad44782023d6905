"""All kinds of faults, by the name that reports call them."""

from mutation import attributes, indices, weights, wiring
from mutation.subject import KINDS

MODULES = indices, weights, attributes, wiring
"""Each enters its kinds into `KINDS` when it is imported."""

__all__ = ["KINDS", "MODULES"]
