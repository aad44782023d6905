"""Where random networks come from: hypothesis, which shrinks what fails, or plain seeds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import onnx
import onnx.printer
from hypothesis import strategies as st

from tests.random_graphs.networks import Block, network

Draw = Callable[[st.SearchStrategy[Any]], Any]
_sampled = cache(st.sampled_from)
_between = cache(st.integers)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Choices that hypothesis makes."""

    draw: Draw

    def choose(self, options: Sequence[Any]) -> Any:
        return self.draw(_sampled(tuple(options)))

    def number(self, low: int, high: int) -> int:
        return int(self.draw(_between(low, high)))


class Seeded:
    """Choices that follow from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, options: Sequence[Any]) -> Any:
        return self._random.choice(options)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


@dataclass(frozen=True, slots=True)
class Shown:
    """A model that is shown as text when it fails."""

    model: onnx.ModelProto

    def __repr__(self) -> str:
        bare = onnx.ModelProto()
        bare.CopyFrom(self.model)
        for tensor in bare.graph.initializer:
            if prod(tensor.dims) > 8:
                tensor.ClearField("raw_data")
        return f"\n{onnx.printer.to_text(bare)}\n"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis shows; of a dataclass it would show the fields."""
        printer.text(repr(self))


@st.composite
def networks(draw: Draw, block: Block | None = None) -> Shown:
    """Random networks that contain a block."""
    return Shown(network(Drawn(draw), block))
