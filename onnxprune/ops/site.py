"""One operator at its place in a graph, as signatures see it.

A `Site` knows the operator's attributes, the shapes, dims and small constant values of its
operands, and the space in which dims are unified. It knows nothing of ONNX's classes; `coupling`
makes the sites from the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, DimSpace
from onnxprune.errors import ModelError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """An operand: one tensor with its axes.

    Attributes:
        name: name of the value.
        shape: its concrete shape.
        dims: one dim for each axis.
        constant: whether it is computed from constants alone.
        data: the elements, when they are known and few.
        listed: for a list of sizes: the dims whose sizes some of its elements are.
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[Dim, ...]
    constant: bool = False
    data: npt.NDArray[np.generic] | None = None
    listed: Mapping[int, Dim] = field(default_factory=dict[int, "Dim"])


@dataclass(frozen=True, slots=True)
class Role:
    """What an operator does with a dim: kind of use, the dim, the operand (input index or -1)."""

    name: str
    dim: Dim
    operand: int


@dataclass(frozen=True, slots=True, eq=False)
class Interface:
    """The border of an operator's body.

    Attributes:
        inputs: what the operator hands to it; None where the shape is unknown.
        outputs: its results, likewise.
    """

    inputs: tuple[Value | None, ...]
    outputs: tuple[Value | None, ...]


@dataclass(slots=True, eq=False)
class Site:
    """An operator with its operands.

    Attributes:
        name: the node's label in messages.
        op_type: ONNX operator.
        version: version of the operator set that the operator comes from.
        attributes: attribute values as Python numbers, strings, lists.
        inputs: operands; None where an optional one is absent.
        outputs: results; None where one is not asked for.
        space: where dims are unified.
        bodies: the borders of the operator's bodies.
        letters: dims bound by the signature, by letter (``s.0`` is the rightmost axis of ``*s``).
        roles: what the signature does with dims.
        described: dims that the operator has said something about.
    """

    name: str
    op_type: str
    version: int
    attributes: Mapping[str, object]
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value | None, ...]
    space: DimSpace
    bodies: tuple[Interface, ...] = ()
    letters: dict[str, Dim] = field(default_factory=dict[str, Dim])
    roles: list[Role] = field(default_factory=list[Role])
    described: set[Dim] = field(default_factory=set[Dim])

    def attribute(self, name: str, default: T) -> T:
        """An attribute's value, or `default` where it is absent."""
        value = self.attributes.get(name, default)
        return value  # type: ignore[return-value]

    def ints(self, name: str) -> list[int] | None:
        """An attribute that is a list of integers; None where it is absent."""
        value = self.attributes.get(name)
        return [int(v) for v in cast(list[int], value)] if isinstance(value, list) else None

    def x(self, index: int = 0) -> Value:
        """An input that must be there."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise ModelError(f"{self.op_type} lacks input {index}", where=f"node {self.name}")
        return value

    def y(self, index: int = 0) -> Value:
        """An output that must be there."""
        value = self.outputs[index] if index < len(self.outputs) else None
        if value is None:
            raise ModelError(f"{self.op_type} lacks output {index}", where=f"node {self.name}")
        return value

    def has(self, index: int) -> bool:
        """Whether the optional input `index` is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def data(self, index: int) -> npt.NDArray[np.generic] | None:
        """The known elements of input `index`; None where it is absent or unknown."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return None if value is None else value.data

    def int_list(self, index: int) -> list[int] | None:
        """The known elements of input `index` as integers."""
        data = self.data(index)
        return None if data is None else [int(v) for v in data.reshape(-1)]

    def axis(self, axis: int, rank: int) -> int:
        """`axis` counted from the front."""
        return axis + rank if axis < 0 else axis

    def same(self, left: Dim, right: Dim) -> None:
        """Say that two axes index the same things; one of size 1 broadcasts and couples nothing."""
        self.describe(left)
        self.describe(right)
        if left.size == right.size:
            self.space.unify(left, right, self.name)
        elif 1 not in (left.size, right.size):
            raise ModelError(
                f"{self.op_type} joins axes of sizes {left.size} and {right.size}",
                where=f"node {self.name}",
                hint="give the shapes of dynamic inputs (--input-shape); otherwise check the model "
                "with ONNX Runtime: it should refuse to run it",
            )

    def block(self, dim: Dim, reason: str, *, inherent: bool = False) -> None:
        """Forbid pruning of a dim, and say why; see `Block`."""
        self.describe(dim)
        if dim.size > 1:
            self.space.block(dim, reason, self.name, inherent=inherent)

    def describe(self, dim: Dim) -> None:
        """Note that the operator knows of a dim, and of the parts that it was made of."""
        self.described.add(dim)
        for part in (*dim.factors, *dim.segments):
            if part not in self.described:
                self.describe(part)

    @property
    def operands(self) -> Iterator[Value | None]:
        """What the operator reads and makes, and what passes the borders of its bodies."""
        yield from self.inputs
        yield from self.outputs
        for body in self.bodies:
            yield from body.inputs
            yield from body.outputs

    def block_omitted(self) -> None:
        """Block every axis that the operator said nothing about: omitted is not free."""
        for value in self.operands:
            for axis, dim in enumerate(value.dims if value is not None else ()):
                if dim not in self.described:
                    self.block(dim, f"{self.op_type} says nothing about axis {axis} of an operand")

    def block_list(self, index: int) -> None:
        """Say that an input is a list of values: its axes are no channels."""
        for dim in self.x(index).dims:
            self.block(dim, f"{self.op_type}: a list of values", inherent=True)

    def block_all(self, reason: str) -> None:
        """Forbid pruning of every axis of every operand."""
        for value in self.operands:
            if value is not None:
                for dim in value.dims:
                    self.block(dim, reason)

    def role(self, name: str, dim: Dim, operand: int = -1) -> None:
        """Note what this operator does with a dim."""
        self.roles.append(Role(name, dim, operand))

    @property
    def is_empty(self) -> bool:
        """Whether some operand has no elements at all."""
        return any(v is not None and prod(v.shape) == 0 for v in (*self.inputs, *self.outputs))
