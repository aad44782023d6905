"""All kinds of faults, by the name that reports call them."""

import mutations_attributes
import mutations_indices
import mutations_weights
import mutations_wiring
from mutation_subject import KINDS

MODULES = mutations_indices, mutations_weights, mutations_attributes, mutations_wiring
"""Each enters its kinds into `KINDS` when it is imported."""

__all__ = ["KINDS", "MODULES"]
