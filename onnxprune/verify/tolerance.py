"""How far two runs of the same computation may be apart, by element type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from onnxprune.errors import UsageError, unknown


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Bounds for one element type.

    Attributes:
        relative: largest deviation, as a share of the tensor's own variation over inputs.
        floor: deviations below this share of the tensor's largest magnitude are rounding.
        outliers: share of a tensor's elements that may deviate by more, in [0, 1).
    """

    relative: float
    floor: float
    outliers: float = 0.0


_BY_NAME: Mapping[str, Tolerance] = {
    "float64": Tolerance(1e-6, 1e-10),
    "float32": Tolerance(1e-3, 2e-5),
    "float16": Tolerance(3e-2, 4e-3),
    "bfloat16": Tolerance(1e-1, 3e-2),
}


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Bounds by element type.

    Attributes:
        by_name: by the name of the dtype; those of float32 hold for what is not listed.
    """

    by_name: Mapping[str, Tolerance] = field(default_factory=lambda: dict(_BY_NAME))

    def of(self, dtype: np.dtype[Any]) -> Tolerance:
        """The bounds for a dtype."""
        return self.by_name.get(dtype.name, self.by_name["float32"])

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read ``[DTYPE=]RELATIVE[:OUTLIERS]``, such as ``float16=0.05`` or ``1e-4:0.001``.

        Without a dtype it is meant for all. The floor changes by as much as the bound above it.

        Args:
            texts: any number of them; later ones take precedence.

        Raises:
            UsageError: there is no such dtype, or a number makes no sense.
        """
        bounds = dict(_BY_NAME)
        for text in texts:
            name, _, numbers = text.rpartition("=")
            if name and name not in _BY_NAME:
                raise unknown("tolerance for", name, _BY_NAME)
            relative, outliers = _numbers(numbers, text)
            for each in (name,) if name else _BY_NAME:
                usual = _BY_NAME[each]
                floor = usual.floor * relative / usual.relative
                bounds[each] = Tolerance(relative, floor, outliers)
        return cls(bounds)


def _numbers(text: str, whole: str) -> tuple[float, float]:
    relative, colon, outliers = text.partition(":")
    try:
        found = float(relative), float(outliers) if colon else 0.0
    except ValueError:
        found = 0.0, 0.0
    if not (0 < found[0] < float("inf") and 0 <= found[1] < 1):
        raise UsageError(
            f"{whole!r} is no tolerance",
            hint="write a share above 0 of a tensor's variation, such as 0.001 or float16=0.05; "
            "1e-4:0.001 lets one element in a thousand deviate by more",
        )
    return found
