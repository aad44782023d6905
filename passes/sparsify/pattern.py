"""N:M patterns: of each M weights in a row at most N are not zero.

The row runs along the channels that a layer sums over, for each tap of a kernel by itself: so
NVIDIA's sparse tensor cores read 2:4. A. Mishra et al., "Accelerating Sparse Deep Neural Networks",
arXiv 2104.08378, 2021.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from onnxprune.errors import UsageError
from onnxprune.passes.repair.least_squares import Array
from onnxprune.passes.schedule import left_after

_FORM = re.compile(r"(\d+):(\d+)")
_EXAMPLES = "write N:M with 0 < N < M, such as 2:4: of 4 weights in a row 2 stay"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Of each `of` weights in a row `stay` stay.

    Attributes:
        stay: N.
        of: M.
    """

    stay: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2:4``.

        Raises:
            UsageError: it is no pattern.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or not 0 < int(match[1]) < int(match[2]):
            raise UsageError(f"{text!r} is no pattern", hint=_EXAMPLES)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.stay}:{self.of}"

    def after(self, schedule: str, way: float) -> Self:
        """The pattern after a part of the way, in (0, 1]: more of each row stay."""
        left = left_after(schedule, self.stay / self.of, way)
        return replace(self, stay=int(np.ceil(self.of * left - 1e-9)))

    def order(self, channels: int, reads: int) -> Array:
        """The rows of a matrix ``[k, m]`` so that those of one group lie one behind the other.

        Args:
            channels: what it sums over, a multiple of `of`.
            reads: k, the taps of each channel one behind the other.
        """
        taps = reads // channels
        return np.arange(reads).reshape(-1, self.of, taps).swapaxes(1, 2).reshape(-1)

    def smallest(self, scores: Array) -> Array:
        """Where a mask of groups has its zeros: the least of each group.

        Args:
            scores: ``[g, k, m]``, groups along k.

        Returns:
            Bool, true where weights go.
        """
        groups, reads, width = scores.shape
        rows = scores.reshape(groups, -1, self.of, width)
        ranks = rows.argsort(axis=2, kind="stable").argsort(axis=2, kind="stable")
        return np.asarray(ranks < self.of - self.stay).reshape(groups, reads, width)
