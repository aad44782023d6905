"""A case: one operator on concrete operands, and which of its axes may be pruned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.versions import RUNTIME, has_opset

AnyArray = npt.NDArray[Any]
RUNTIMES = {
    "BranchwiseRMSNorm": (1, 31),
    "CausalConvWithState": (1, 30),
    "EngramGate": (1, 31),
    "GatedAdd": (1, 30),
    "GatedRMSNorm": (1, 31),
    "HyperConnectionPostMix": (1, 31),
    "HyperConnectionPreMix": (1, 31),
    "LinearAttention": (1, 29),
    "LinearAttentionGate": (1, 30),
    "MRotaryEmbedding": (1, 29),
    "QMoE": (1, 31),
    "ScaledSiLU": (1, 31),
}
"""The first ONNX Runtime that has an operator with the operands that its signature has."""


@dataclass(frozen=True, slots=True)
class Draw:
    """An operand with random elements, uniform within [low, high) or [low, high] of integers."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -2.0
    high: float = 2.0

    def sample(self, rng: np.random.Generator) -> AnyArray:
        """Draw the elements; no float is near zero, so that nothing hides behind a small value."""
        if self.dtype == "bool":
            return rng.integers(0, 2, self.shape).astype(np.bool_)
        if np.dtype(self.dtype).kind in "iu":
            return rng.integers(int(self.low), int(self.high) + 1, self.shape).astype(self.dtype)
        values = np.asarray(rng.uniform(self.low, self.high, self.shape))
        return np.where(np.abs(values) < 0.1, 0.1, values).astype(self.dtype)


Operand = Draw | AnyArray | None
"""What an operator reads: something fed, a constant, or nothing (an optional input left out)."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One operator on concrete operands.

    Attributes:
        op_type: ONNX operator.
        operands: the inputs in order.
        attributes: the node's attributes.
        opset: version of the operator's set.
        domain: the operator's set.
        outputs: names of the results; ``""`` where one is not asked for.
        unread: results that are made but that nobody reads.
        blocked: axes of which no index may be removed. All others must be free.
        partly: axes of which some indices may be removed and others not.
        by_reference: whether onnx's reference implementation runs it, as ONNX Runtime cannot.
        means: what the operator does, where ONNX Runtime's CPU provider has no kernel for it: an
            ONNX function in text form, without its name. It runs in the operator's place.
        runtime: the first ONNX Runtime that is right about it; see `RUNTIMES`.
    """

    op_type: str
    operands: tuple[Operand, ...]
    attributes: dict[str, object]
    opset: int
    domain: str
    outputs: tuple[str, ...]
    unread: frozenset[str]
    blocked: frozenset[str]
    partly: frozenset[str]
    by_reference: bool = False
    means: str = ""
    runtime: tuple[int, int] = (0, 0)

    @property
    def results(self) -> list[str]:
        """The results that are compared."""
        return [name for name in self.outputs if name and name not in self.unread]

    @property
    def is_known(self) -> bool:
        """Whether the installed onnx and ONNX Runtime have the operator, as it is described."""
        runs = max(self.runtime, RUNTIMES.get(self.op_type, (0, 0))) <= RUNTIME
        return runs and has_opset(0 if self.domain else self.opset)

    @property
    def title(self) -> str:
        """What tests call the case: operator, opset, shapes, attributes."""
        shapes = ",".join("-" if x is None else "x".join(map(str, x.shape)) for x in self.operands)
        attributes = ",".join(f"{name}={value}" for name, value in self.attributes.items())
        return " ".join(filter(None, (f"{self.op_type}-{self.opset}", shapes, attributes)))


def case(
    op_type: str,
    *operands: Operand | tuple[int, ...],
    opset: int = 17,
    domain: str = "",
    outputs: str = "y0",
    blocked: str = "",
    partly: str = "",
    by_reference: bool = False,
    means: str = "",
    runtime: tuple[int, int] = (0, 0),
    **attributes: object,
) -> Case:
    """A case in few words.

    Args:
        op_type: ONNX operator.
        operands: a shape stands for random floats of that shape.
        opset: version of the operator's set.
        domain: the operator's set.
        outputs: names of the results, ``y0`` and so on; ``-`` where one is not asked for, ``~y1``
            where nobody reads one that is made.
        blocked: axes as ``x0.23 y0.3``: the last two of input 0, the last of output 0.
        partly: axes likewise.
        by_reference: whether onnx's reference implementation runs it, as ONNX Runtime cannot.
        means: an ONNX function that runs in the operator's place.
        runtime: the first ONNX Runtime that is right about it.
        attributes: the node's attributes.
    """
    return Case(
        op_type,
        tuple(Draw(x) if isinstance(x, tuple) else x for x in operands),
        attributes,
        opset,
        domain,
        tuple("" if name == "-" else name.lstrip("~") for name in outputs.split()),
        frozenset(name[1:] for name in outputs.split() if name[0] == "~"),
        _axes(blocked),
        _axes(partly),
        by_reference,
        means,
        runtime,
    )


contrib = partial(case, domain="com.microsoft", opset=1)
"""A case of one of ONNX Runtime's own operators."""


def _axes(text: str) -> frozenset[str]:
    words = (word.split(".") for word in text.split())
    return frozenset(f"{name}.{axis}" for name, axes in words for axis in axes)


def ints(*values: int) -> AnyArray:
    """A constant vector of integers."""
    return np.array(values, dtype=np.int64)


def scalar(value: float, dtype: str = "float32") -> AnyArray:
    """A constant without axes."""
    return np.array(value, dtype=dtype)


def floats(*values: float) -> AnyArray:
    """A constant vector of floats."""
    return np.array(values, dtype=np.float32)


def weights(*shape: int) -> AnyArray:
    """A constant of random floats."""
    return Draw(shape).sample(np.random.default_rng(shape))


def byte_weights(*shape: int) -> AnyArray:
    """A constant of random bytes."""
    return whole(*shape, high=255, dtype="uint8").sample(np.random.default_rng(shape))


def whole(*shape: int, low: int = 0, high: int = 9, dtype: str = "int64") -> Draw:
    """Random integers."""
    return Draw(shape, dtype, low, high)


def flags(*shape: int) -> Draw:
    """Random booleans."""
    return Draw(shape, "bool")


def texts(*shape: int) -> AnyArray:
    """A constant of random words."""
    drawn = np.random.default_rng(shape).choice(["ab", "a", "bcd", "ca"], shape)
    return np.asarray(drawn, dtype=np.object_)


def positive(*shape: int) -> Draw:
    """Random floats above zero."""
    return Draw(shape, low=0.2)
