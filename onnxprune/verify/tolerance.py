"""How far two runs of the same computation may be apart, by element type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Bounds for one element type.

    Attributes:
        relative: largest deviation, as a share of the tensor's own variation over inputs.
        floor: deviations below this share of the tensor's largest magnitude are rounding.
    """

    relative: float
    floor: float


_BY_NAME = {
    "float64": Tolerance(1e-6, 1e-10),
    "float32": Tolerance(1e-3, 2e-5),
    "float16": Tolerance(3e-2, 4e-3),
    "bfloat16": Tolerance(1e-1, 3e-2),
}


def tolerance_of(dtype: np.dtype[Any]) -> Tolerance:
    """The bounds for a dtype; those of float32 for what is not listed."""
    return _BY_NAME.get(dtype.name, _BY_NAME["float32"])
