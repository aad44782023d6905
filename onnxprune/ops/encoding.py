"""Integers that stand for numbers: what quantized operands mean.

An integer q stands for ``(q - zero) * scale``. Scale and zero point are one number each, or one for
each index along an axis, or one for each block of indices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.ops.site import Site

Array = npt.NDArray[Any]


def _last(site: Site) -> int:
    return -1


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an operator reads an operand of integers.

    Attributes:
        operand: input index of the integers.
        scale: input index of their scale; None where the operator leaves it to others.
        zero: input index of their zero point, which may be absent; None where it is 0.
        axis: site -> the axis of the operand that a vector of scales lies along.
    """

    operand: int
    scale: int | None = None
    zero: int | None = None
    axis: Callable[[Site], int] = _last

    def neutral(self, site: Site) -> int | None:
        """The input index of what stands for 0 in every place; None where 0 does, or nothing."""
        if self.zero is None or not site.has(self.zero):
            return None
        return self.zero if prod(site.x(self.zero).shape) == 1 else None

    @property
    def in_blocks(self) -> bool:
        """Whether an axis of the operand counts blocks, and another one what they consist of."""
        return False

    @property
    def parameters(self) -> tuple[int, ...]:
        """Input indices of what tells how to read the operand."""
        return tuple(index for index in (self.scale, self.zero) if index is not None)

    def held(self, site: Site) -> int:
        """How many numbers one element holds.

        Args:
            site: the operator.
        """
        return 1

    def decoded(self, site: Site, read: Callable[[int], Array | None]) -> Array:
        """The numbers that constant integers stand for, float32.

        Args:
            site: the operator.
            read: the elements of a constant input by index; None where it is absent or computed.
        """
        stored = read(self.operand)
        assert stored is not None
        result = stored.astype(np.float32)
        scale, zero = self._parameters(site, read, result.shape)
        return np.asarray((result - zero) * scale)

    def encoded(self, site: Site, read: Callable[[int], Array | None], numbers: Array) -> Array:
        """The integers that are nearest to numbers, by the scale and zero point that there are.

        Args:
            site: the operator.
            read: as of `decoded`.
            numbers: shaped like the operand.
        """
        stored = read(self.operand)
        assert stored is not None
        scale, zero = self._parameters(site, read, numbers.shape)
        steps = numbers / scale + zero
        limits = _limits(stored.dtype)
        if limits is not None:
            steps = np.clip(np.rint(steps), *limits)
        return np.asarray(steps.astype(stored.dtype))

    def _parameters(
        self, site: Site, read: Callable[[int], Array | None], shape: tuple[int, ...]
    ) -> tuple[Array, Array]:
        """The scale and the zero point, broadcastable to a shape; 1 and 0 where there are none."""
        found: list[Array] = []
        for index, otherwise in ((self.scale, 1.0), (self.zero, 0.0)):
            parameter = None if index is None else read(index)
            given = np.array(otherwise) if parameter is None else parameter
            found.append(_spread(given.astype(np.float32), shape, self.axis(site)))
        scale, zero = found
        return scale, zero


def _limits(dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """The least and the largest integer of a type, whether numpy has it or not; None of floats."""
    signed, bits = dtype.name.startswith("int"), dtype.name.removeprefix("u").removeprefix("int")
    if not bits.isdigit():
        return None
    count = 1 << int(bits)
    return (-count // 2, count // 2 - 1) if signed else (0, count - 1)


def _spread(parameter: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Scales or zero points, one for each element, or broadcastable to them."""
    if parameter.size == 1:
        return parameter.reshape(())
    if parameter.ndim == 1 and len(shape) > 1:
        places = [1] * len(shape)
        places[axis] = parameter.size
        parameter = parameter.reshape(places)
    for place, (count, size) in enumerate(zip(parameter.shape, shape, strict=True)):
        if 1 < count < size:
            block = -(-size // count)
            parameter = np.repeat(parameter, block, axis=place).take(range(size), axis=place)
    return parameter
