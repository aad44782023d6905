"""Patches: what single places of a convolution's result read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.ops.site import Site

Array = npt.NDArray[Any]
Sizes = npt.NDArray[np.intp]
"""One number for each spatial axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """How the windows of a convolution lie, as its attributes say.

    Attributes:
        strides: steps between windows.
        dilations: steps within them.
        pads: padding before each spatial axis, then behind; unless `automatic`.
        output_padding: of a transposed convolution.
        automatic: ONNX's ``auto_pad``.
    """

    strides: Sizes
    dilations: Sizes
    pads: Sizes
    output_padding: Sizes
    automatic: str

    @classmethod
    def of(cls, site: Site) -> Windows:
        """Read the attributes of a Conv or ConvTranspose."""
        rank = len(site.x(1).shape) - 2
        return cls(
            np.array(site.ints("strides") or [1] * rank),
            np.array(site.ints("dilations") or [1] * rank),
            np.array(site.ints("pads") or [0] * (2 * rank)),
            np.array(site.ints("output_padding") or [0] * rank),
            site.attribute("auto_pad", "NOTSET"),
        )

    def forward(
        self, x: Array, kernel: Sequence[int], sizes: Sequence[int], places: Sizes
    ) -> Array:
        """What places of a convolution's result read.

        Args:
            x: ``[n, c, *spatial]``.
            kernel: its spatial sizes.
            sizes: spatial sizes of the result.
            places: numbers of places of the result, without its channels, in row-major order.

        Returns:
            ``[r, c, k]``.
        """
        span = self._span(kernel)
        total = (np.array(sizes) - 1) * self.strides + span - np.array(x.shape[2:])
        begin = self._before(np.maximum(total, 0))
        return self._gathered(x, begin, span, sizes, places, self.strides)

    def transposed(
        self, x: Array, kernel: Sequence[int], sizes: Sequence[int], places: Sizes
    ) -> Array:
        """What places of a transposed convolution's result read, for the flipped kernel.

        It is a convolution of `x` with zeros between its places; see `forward`.
        """
        span, inner = self._span(kernel), np.array(x.shape[2:])
        wide = np.zeros((*x.shape[:2], *((inner - 1) * self.strides + 1)), dtype=x.dtype)
        wide[_every(self.strides)] = x
        whole = self.strides * (inner - 1) + self.output_padding + span
        begin = span - 1 - self._before(np.maximum(whole - np.array(sizes), 0))
        return self._gathered(wide, begin, span, sizes, places, np.ones_like(span))

    def _span(self, kernel: Sequence[int]) -> Sizes:
        return np.asarray(self.dilations * (np.array(kernel) - 1) + 1)

    def _before(self, total: Sizes) -> Sizes:
        """Padding, or cutting, before each axis; of an odd total the larger half is elsewhere."""
        if self.automatic == "NOTSET":
            return np.asarray(self.pads[: total.size])
        if self.automatic == "VALID":
            return np.zeros_like(total)
        more = 0 if self.automatic == "SAME_UPPER" else 1
        return np.array([(size + more) // 2 for size in total.tolist()], dtype=np.intp)

    def _gathered(
        self,
        x: Array,
        begin: Sizes,
        span: Sizes,
        sizes: Sequence[int],
        places: Sizes,
        strides: Sizes,
    ) -> Array:
        """Windows of `x`, padded by `begin` (cut where it is negative) and as far as needed."""
        inner = np.array(x.shape[2:])
        end = (np.array(sizes) - 1) * strides + span - inner - begin
        first, last = np.maximum(-begin, 0), inner + np.minimum(end, 0)
        cut: tuple[Any, ...] = (..., *map(slice, first.tolist(), last.tolist()))
        x = x[cut]
        around = np.maximum(np.stack([begin, end], axis=1), 0).tolist()
        x = np.pad(x, [(0, 0), (0, 0), *around])
        axes = tuple(range(2, 2 + span.size))
        views = np.lib.stride_tricks.sliding_window_view(x, tuple(span.tolist()), axes)
        views = views[_every(np.concatenate([strides, self.dilations]))]
        samples, *others = np.unravel_index(places, (x.shape[0], *sizes))
        index: tuple[Any, ...] = (samples, slice(None), *others)
        picked: Array = views[index]
        return picked.reshape(len(places), x.shape[1], -1)


def _every(steps: Sizes) -> tuple[Any, ...]:
    """An index that takes every step-th place of the last axes."""
    return (..., *(slice(None, None, step) for step in steps.tolist()))
