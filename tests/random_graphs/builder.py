"""Builds a graph step by step from random choices.

A `Tensor` knows its shape at one binding of the dynamic sizes and which of its axes holds the
channels, so that most blocks need not care whether they see images, tokens or vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

OPSETS = (17, 13, 18, 12, 21, 11, 20, 16, 22, 23, 24, 9, 8, 7)
WIDTHS = (4, 6, 8, 5, 7, 9, 10, 12, 14, 15, 16, 18)


class Choices(Protocol):
    """Where randomness comes from."""

    def choose(self, options: Sequence[Any]) -> Any:
        """One of the options; the first is the plainest."""

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""


class Size(int):
    """A size that differs from run to run; so does what is computed from it."""

    label: str = ""

    @classmethod
    def named(cls, value: int, label: str) -> Size:
        size = cls(value)
        size.label = label
        return size

    def __add__(self, other: int) -> Size:
        return Size(int(self) + other)

    def __sub__(self, other: int) -> Size:
        return Size(int(self) - other)

    def __mul__(self, other: int) -> Size:
        return Size(int(self) * other)

    def __floordiv__(self, other: int) -> Size:
        return Size(int(self) // other)

    __radd__ = __add__
    __rmul__ = __mul__


def told(size: int) -> bool:
    """Whether an input of the network can have a size: one that is fixed or has a name."""
    return not isinstance(size, Size) or bool(size.label)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the graph.

    Attributes:
        name: of the value.
        shape: at the sizes that the graph is made for; dynamic ones are `Size`.
        axis: the one that holds the channels.
    """

    name: str
    shape: tuple[int, ...]
    axis: int = 1

    @property
    def channels(self) -> int:
        return self.shape[self.axis]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def spatial(self) -> tuple[int, ...]:
        """Sizes of all axes but the batch and the channels."""
        return tuple(n for i, n in enumerate(self.shape) if i not in (0, self.axis))

    @property
    def is_image(self) -> bool:
        return self.axis == 1 and self.rank > 2

    @property
    def is_tokens(self) -> bool:
        return self.axis == self.rank - 1 and self.rank > 2

    def at(self, axis: int) -> Tensor:
        """The same, with the channels on another axis."""
        return replace(self, axis=axis)

    def sized(self, axis: int, size: int) -> tuple[int, ...]:
        """The shape with another size on one axis."""
        return (*self.shape[:axis], size, *self.shape[axis + 1 :])

    def per_channel(self, *lead: int) -> tuple[int, ...]:
        """Shape of a constant with an element for each channel, broadcast from the right."""
        return (*lead, self.channels, *[1] * (self.rank - 1 - self.axis))


Operand = Tensor | str


class Network:
    """A graph in the making, with the habits of one exporter."""

    def __init__(self, choices: Choices, grow: Callable[[Network, Tensor], Tensor]) -> None:
        self._choices = choices
        self._grow = grow
        self._depth = 0
        self.opset: int = self.choose(*OPSETS)
        self.dynamic_batch = self.flag()
        self.dynamic_space = self.rarely()
        self.half = self.rarely() and self.rarely()
        self._constant_nodes = self.opset >= 9 and self.rarely()
        self._half_weights = not self.half and self.rarely()
        self._share_vectors = self.flag()
        self._rng = np.random.default_rng(self.number(0, 999))
        self._nodes: list[onnx.NodeProto] = []
        self._stored: list[onnx.NodeProto] = []  # constants as nodes, in front of all others
        self._made = 0
        self._bodies = 0
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._shared: dict[tuple[int, ...], str] = {}

    # Choices.

    def choose(self, *options: Any) -> Any:
        return self._choices.choose(options)

    def number(self, low: int, high: int) -> int:
        return self._choices.number(low, high)

    def flag(self) -> bool:
        return self.number(0, 1) == 1

    def rarely(self) -> bool:
        """True once in four times."""
        return self.number(0, 3) == 3

    def width(self) -> int:
        return int(self.choose(*WIDTHS))

    def divisor(self, n: int) -> int:
        return int(self.choose(*[d for d in range(1, n + 1) if n % d == 0]))

    # Types and opsets.

    @property
    def real(self) -> np.dtype[Any]:
        """Type of the network's floating-point numbers."""
        return np.dtype(np.float16 if self.half else np.float32)

    @property
    def real_type(self) -> int:
        return TensorProto.FLOAT16 if self.half else TensorProto.FLOAT

    def has(self, kind: str) -> bool:
        """Whether the network's opset defines an operator."""
        return defined(kind, self.opset)

    # Inputs, constants, nodes.

    def batch(self) -> int:
        return Size.named(2, "batch") if self.dynamic_batch else 2

    def extent(self, value: int, label: str) -> int:
        """A spatial size or the length of a sequence."""
        return Size.named(value, label) if self.dynamic_space else value

    def input(self, *shape: int, kind: int = 0, axis: int = 1) -> Tensor:
        name = f"input{len(self._inputs)}"
        self._inputs.append(_info(name, kind or self.real_type, shape))
        return Tensor(name, shape, axis)

    def output(self, x: Tensor, kind: int = 0) -> None:
        if self._bodies:  # what a body makes cannot be seen outside
            return
        if any(x.name == info.name for info in (*self._outputs, *self._inputs)):
            x = self.op("Identity", x.shape, x)
        self._outputs.append(_info(x.name, kind or self.real_type, x.shape))

    def constant(self, array: npt.NDArray[Any]) -> str:
        name = f"c{len(self._weights) + len(self._stored)}"
        tensor = onnx.numpy_helper.from_array(array, name)
        if self._constant_nodes:
            self._stored.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self._weights.append(tensor)
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def index(self, value: int) -> str:
        return self.constant(np.array(value, dtype=np.int64))

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, dtype=self.real))

    def plain_scalar(self, value: float) -> str:
        """A scalar in single precision, whatever the network's own."""
        return self.constant(np.array(value, dtype=np.float32))

    def filling(self, value: float) -> onnx.TensorProto:
        """What ConstantOfShape fills a tensor with."""
        return onnx.numpy_helper.from_array(np.array([value], dtype=self.real))

    def weight(self, *shape: int, fan: int = 0) -> str:
        """A kernel, matrix or table of random numbers; sometimes stored in half precision."""
        scale = 1.5 / np.sqrt(fan or prod(shape[1:]) or 1)
        drawn = (self._rng.standard_normal(shape) * scale).astype(self.real)
        if self._half_weights and self.flag():
            stored = self.constant(drawn.astype(np.float16))
            return self.op("Cast", shape, stored, to=self.real_type).name
        return self.constant(drawn)

    def vector(self, *shape: int, low: float = -0.5, high: float = 0.5, own: bool = False) -> str:
        """A bias or scale; exporters merge those that are equal, unless it must be its own."""
        if self._share_vectors and not own:
            key = (*shape, int(low * 100))
            if key not in self._shared:
                filled = np.full(shape, (low + high) / 2 + 0.1, dtype=self.real)
                self._shared[key] = self.constant(filled)
            return self._shared[key]
        return self.constant(self._rng.uniform(low, high, shape).astype(self.real))

    def scales(self, *shape: int) -> str:
        return self.vector(*shape, low=0.5, high=1.5)

    def op(self, kind: str, shape: Iterable[int], *inputs: Operand, **attributes: Any) -> Tensor:
        return self.ops(kind, [shape], *inputs, **attributes)[0]

    def ops(
        self, kind: str, shapes: Iterable[Iterable[int]], *inputs: Operand, **attributes: Any
    ) -> list[Tensor]:
        """Add a node; its results hold the channels where the first operand does, if they can."""
        place, self._made = self._made, self._made + 1
        given = next((x for x in inputs if isinstance(x, Tensor)), None)
        made: list[Tensor] = []
        for index, each in enumerate(shapes):
            shape = tuple(each)
            axis = given.axis if given is not None and given.rank == len(shape) else 1
            axis = min(axis, max(len(shape) - 1, 0))
            made.append(Tensor(f"v{place}_{index}", shape, axis))
        names = [x.name if isinstance(x, Tensor) else x for x in inputs]
        node = helper.make_node(
            kind, names, [t.name for t in made], name=f"{kind}_{place}", **attributes
        )
        self._nodes.append(node)
        return made

    # Larger steps.

    def grow(self, x: Tensor) -> Tensor:
        """A random block inside of another one; nothing where they are nested too deep."""
        if self._depth >= 2:
            return x
        self._depth += 1
        y = self._grow(self, x)
        self._depth -= 1
        return y

    def mark(self) -> int:
        """A place in the graph, for `replay`."""
        return len(self._nodes)

    def replay(self, since: int, x: Tensor, other: Tensor, y: Tensor) -> Tensor:
        """What became of `x` since a mark, done once more to `other`, with the same weights."""
        names = {x.name: other.name}
        self._made += 1
        for node in self._nodes[since:]:
            self._nodes.append(_copied(node, names, f"_{self._made}"))
        return replace(y, name=names.get(y.name, y.name))

    # Bodies of control flow.

    def body(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], make: Callable[[], list[Tensor]]
    ) -> tuple[onnx.GraphProto, list[Tensor]]:
        """A graph of what `make` adds, whose outputs are what it returns."""
        before = len(self._nodes)
        self._bodies += 1
        made = make()
        self._bodies -= 1
        nodes = self._nodes[before:]
        del self._nodes[before:]
        return helper.make_graph(nodes, name, inputs, [self.inner(x) for x in made]), made

    def inner(self, x: Tensor) -> onnx.ValueInfoProto:
        """A value inside of a body, of known rank; a scalar is a condition."""
        kind = self.real_type if x.shape else TensorProto.BOOL
        return helper.make_tensor_value_info(x.name, kind, [None] * x.rank)

    def state(self, shape: Iterable[int], axis: int = 1) -> Tensor:
        """A value that a body is handed."""
        self._made += 1
        return Tensor(f"s{self._made}", tuple(shape), axis)

    def same_names(self, make: Callable[[], Any], other: Callable[[], Any]) -> tuple[Any, Any]:
        """Two bodies that may give their values the same names, as exporters do."""
        start = self._made
        first = make()
        end = self._made
        self._made = start if self.flag() else end
        second = other()
        self._made = max(self._made, end)
        return first, second

    def finish(self) -> onnx.ModelProto:
        inputs = list(self._inputs)
        ir_version = 10 if self.opset >= 21 else 8
        if self.opset <= 8 and self.flag():
            ir_version = 3
            inputs += [_info(w.name, w.data_type, tuple(w.dims)) for w in self._weights]
        nodes = [*self._stored, *self._nodes]
        graph = helper.make_graph(nodes, "random", inputs, self._outputs, self._weights)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
        return onnx.shape_inference.infer_shapes(model) if self.flag() else model


def _copied(node: onnx.NodeProto, names: dict[str, str], suffix: str) -> onnx.NodeProto:
    """A node with names of its own; `names` learns them, and tells those of what it reads."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name += suffix
    for attribute in copy.attribute:
        inner = dict(names)
        for part in attribute.g.node:
            part.CopyFrom(_copied(part, inner, suffix))
        for info in (*attribute.g.input, *attribute.g.output):
            info.name = inner.get(info.name, info.name)
    names.update((name, f"{name}{suffix}") for name in node.output if name)
    for field in (copy.input, copy.output):
        field[:] = [names.get(name, name) for name in field]
    return copy


@cache
def defined(kind: str, opset: int) -> bool:
    """Whether an opset of the standard domain defines an operator."""
    try:
        return not onnx.defs.get_schema(kind, opset).deprecated
    except onnx.defs.SchemaError:
        return False


def _info(name: str, kind: int, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    dims = [n.label or None if isinstance(n, Size) else n for n in shape]
    return helper.make_tensor_value_info(name, kind, dims)
