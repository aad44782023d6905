"""What faults are put into: a pruned model, what is known of it, and copies to spoil."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

import onnxprune as op
from onnxprune.coupling.axis_plan import AxisPlan, Blocks
from onnxprune.coupling.plan import Plan
from onnxprune.data.random import Feeds
from onnxprune.ir.probe import with_outputs
from onnxprune.verify.sessions import session_of
from onnxprune.verify.taken import Taken

Array = npt.NDArray[Any]
_SMALL = 64
"""Integers of so few elements may be sizes; what they were is kept."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A weight that lost indices.

    Attributes:
        name: of the weight, in both models.
        original: the whole of it.
        kept: what the plan keeps of its axes.
    """

    name: str
    original: Array
    kept: Mapping[int, AxisPlan]

    def sliced(self, other: Mapping[int, AxisPlan] | None = None) -> Array:
        """Returns what is kept of the original, on some axes other indices."""
        kept = {**self.kept, **(other or {})}
        array = self.original
        for axis, plan in sorted(kept.items(), key=lambda item: not isinstance(item[1], Blocks)):
            if isinstance(plan, Blocks):
                rows = np.repeat(plan.kept, array.shape[plan.by] // len(plan.kept), axis=0)
                array = Taken(axis, rows, plan.by).of(array)
            else:
                array = Taken(axis, np.array(plan, np.intp)).of(array)
        return array

    def plain(self) -> Iterator[tuple[int, list[int], list[int]]]:
        """Returns the axes that keep the same indices everywhere: kept ones, and removed ones."""
        for axis, plan in self.kept.items():
            if not isinstance(plan, Blocks) and plan:
                whole = range(self.original.shape[axis])
                yield axis, list(plan), sorted(set(whole) - set(plan))


@dataclass(frozen=True, slots=True)
class Observed:
    """What one run showed of a model's values.

    Attributes:
        shapes: by name.
        dtypes: by name.
        peaks: largest magnitude, of floats.
        numbers: small integer tensors as they were.
    """

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    dtypes: dict[str, np.dtype[Any]] = field(default_factory=dict[str, np.dtype[Any]])
    peaks: dict[str, float] = field(default_factory=dict[str, float])
    numbers: dict[str, Array] = field(default_factory=dict[str, Array])

    @classmethod
    def of(cls, model: op.Model, feeds: Feeds) -> "Observed":
        """Runs a model on one set of inputs."""
        names = [name for node in model.proto.graph.node for name in node.output if name]
        seen = cls()
        with session_of(with_outputs(model, names, {})) as session:
            for name, array in (*feeds.items(), *session.run(feeds, names).items()):
                seen._note(name, array)
        return seen

    def _note(self, name: str, array: Array) -> None:
        self.shapes[name], self.dtypes[name] = array.shape, array.dtype
        if array.dtype.kind == "f" and array.size:
            self.peaks[name] = float(np.abs(array).max())
        elif array.dtype.kind == "i" and array.size <= _SMALL:
            self.numbers[name] = array


class Subject:
    """A pruned model with what functions that look for places ask of it."""

    def __init__(
        self, pruned: onnx.ModelProto, original: op.Model, plan: Plan, feeds: Feeds
    ) -> None:
        """Look at a pruned model.

        Args:
            pruned: as it was read from its file.
            original: the model that it was made from.
            plan: what it keeps of that.
            feeds: one set of inputs of both.
        """
        self.proto = pruned
        self.seen = Observed.of(op.load(pruned), feeds)
        self.before = Observed.of(original, feeds)
        self.constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in _constants(pruned.graph)
        }
        self.makers = {
            name: place for place, node in enumerate(pruned.graph.node) for name in node.output
        }
        self._original = {name: tensor.numpy() for name, tensor in original.constants.items()}
        self._plan = plan

    @cached_property
    def cuts(self) -> list[Cut]:
        """The weights of which the plan says what they keep, and the file agrees."""
        whole = {
            name: self._original[name] for name in self._plan.initializers if name in self._original
        }
        cuts = [Cut(name, whole[name], self._plan.initializers[name]) for name in whole]
        return [cut for cut in cuts if self._is_true(cut)]

    def _is_true(self, cut: Cut) -> bool:
        there = self.constants.get(cut.name)
        return there is not None and there.size > 0 and np.array_equal(cut.sliced(), there)

    @property
    def is_dynamic(self) -> bool:
        """Whether an input has an axis of any size."""
        shapes = (info.type.tensor_type.shape for info in self.proto.graph.input)
        return any(dim.dim_param for shape in shapes for dim in shape.dim)

    def nodes(self, *op_types: str) -> Iterator[tuple[int, onnx.NodeProto]]:
        """Returns the nodes of some types with their places in the main graph; all if none."""
        for place, node in enumerate(self.proto.graph.node):
            if not op_types or node.op_type in op_types:
                yield place, node

    def constant(self, node: onnx.NodeProto, operand: int) -> Array | None:
        """Returns an operand that is a constant; None if there is none."""
        return self.constants.get(node.input[operand]) if operand < len(node.input) else None

    def floats(self, node: onnx.NodeProto, operand: int) -> Array | None:
        """Returns an operand that is a constant of floating-point numbers."""
        array = self.constant(node, operand)
        return array if array is not None and array.dtype.kind == "f" and array.size else None

    def layers(self) -> Iterator[tuple[int, int, onnx.NodeProto, Array]]:
        """Returns (place, operand, node, weight) of what maps channels to channels."""
        for place, node in self.nodes("Conv", "ConvTranspose", "Gemm", "MatMul"):
            for operand in (0, 1):
                array = self.floats(node, operand)
                if array is not None and array.ndim > 1:
                    yield place, operand, node, array

    def biases(self) -> Iterator[tuple[int, int, onnx.NodeProto, Array]]:
        """Returns (place, operand, node, bias) of vectors that are added."""
        for place, node in self.nodes("Conv", "ConvTranspose", "Gemm", "Add"):
            for operand in (0, 1) if node.op_type == "Add" else (2,):
                array = self.floats(node, operand)
                if array is not None and array.size > 1 and array.size == max(array.shape):
                    yield place, operand, node, array

    def is_float(self, name: str) -> bool:
        """Whether a value is computed, of floating-point numbers."""
        return name not in self.constants and name in self.seen.peaks

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape that a value had; () if it was never seen."""
        return self.seen.shapes.get(name, ())


def layer_axes(node: onnx.NodeProto, operand: int, rank: int) -> tuple[int, int]:
    """Returns the axes of a layer's weight: of what it makes, and of what it reads."""
    if node.op_type == "Conv":
        return 0, 1
    if node.op_type == "ConvTranspose":
        return 1, 0
    if node.op_type == "Gemm":
        flipped = bool(attribute(node, "transB" if operand else "transA", 0))
        return (0, 1) if flipped == bool(operand) else (1, 0)
    return (rank - 1, rank - 2) if operand else (rank - 2, rank - 1)


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Returns an attribute's value."""
    found = (helper.get_attribute_value(a) for a in node.attribute if a.name == name)
    return next(found, default)


class Draft:
    """A copy of a pruned model, to put one fault into."""

    def __init__(self, proto: onnx.ModelProto, rng: np.random.Generator) -> None:
        """Copy a model; what is drawn at random is drawn with `rng`."""
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(proto)
        self.rng = rng

    def node(self, place: int) -> onnx.NodeProto:
        """The node at a place of the main graph."""
        return self.proto.graph.node[place]

    def put(self, name: str, array: Array) -> None:
        """Give all that read a constant another one."""
        fresh = self._add(name, array)
        for node in self.proto.graph.node:
            _rename(node.input, name, fresh)
        self._drop(name)

    def give(self, place: int, operand: int, array: Array) -> None:
        """Give one operand of one node a constant of its own."""
        node = self.node(place)
        name = node.input[operand]
        node.input[operand] = self._add(name, array)
        self._drop(name)

    def set(self, place: int, **attributes: Any) -> None:
        """Give a node other attributes; None takes one away."""
        node = self.node(place)
        others = [a for a in node.attribute if a.name not in attributes]
        made = [helper.make_attribute(k, v) for k, v in attributes.items() if v is not None]
        del node.attribute[:]
        node.attribute.extend([*others, *made])

    def become(self, place: int, op_type: str, **attributes: Any) -> None:
        """Make a node one of another type with one input and no other attributes."""
        node = self.node(place)
        node.op_type = op_type
        del node.attribute[:], node.input[1:]
        self.set(place, **attributes)

    def wrap(self, name: str, build: Callable[[str, str], Sequence[onnx.NodeProto]]) -> None:
        """Put nodes behind a value; `build` gets the name that they read and that they make."""
        nodes = list(self.proto.graph.node)
        place = next(place for place, node in enumerate(nodes) if name in node.output)
        _rename(nodes[place].output, name, f"{name}::sound")
        nodes[place + 1 : place + 1] = build(f"{name}::sound", name)
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self.proto.graph.node[:]
        self.proto.graph.node.extend(copies)

    def constant(self, array: Array) -> str:
        """Add a constant and return its name."""
        return self._add("mutation", array)

    def two_of(self, size: int) -> tuple[int, int]:
        """Two different indices, drawn at random."""
        first, second = self.rng.choice(size, 2, replace=False)
        return int(first), int(second)

    def exchanged(self, size: int) -> tuple[int, int, Array]:
        """Two different indices, drawn at random, and an order in which they change places."""
        first, second = self.two_of(size)
        order = np.arange(size)
        order[[first, second]] = second, first
        return first, second, order

    def _add(self, name: str, array: Array) -> str:
        taken = {tensor.name for tensor in self.proto.graph.initializer}
        fresh = next(n for i in range(len(taken) + 1) if (n := f"{name}::mutant{i}") not in taken)
        made = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), fresh)
        self.proto.graph.initializer.append(made)
        return fresh

    def _drop(self, name: str) -> None:
        """Take out an initializer that nothing in a model without bodies reads any more."""
        graph = self.proto.graph
        read = {name for node in graph.node for name in node.input}
        read |= {info.name for info in (*graph.output, *graph.input)}
        if name not in read and not any(a.HasField("g") for n in graph.node for a in n.attribute):
            kept = [tensor for tensor in graph.initializer if tensor.name != name]
            del graph.initializer[:]
            graph.initializer.extend(kept)


Edit = Callable[[Draft], str]
"""Puts a fault into a draft and returns what exactly it did."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a fault can be.

    Attributes:
        where: in words.
        edit: what makes it.
    """

    where: str
    edit: Edit


Kind = Callable[[Subject], Iterator[Site]]
KINDS: dict[str, Kind] = {}
"""All kinds of faults by name; the modules of `mutation.kinds` fill it."""


def kind(name: str) -> Callable[[Kind], Kind]:
    """Enters a function that finds places under the name of its kind of fault."""

    def enter(function: Kind) -> Kind:
        KINDS[name] = function
        return function

    return enter


def title(node: onnx.NodeProto) -> str:
    """What a node is called in reports."""
    return f"{node.op_type} {next((name for name in node.output if name), node.name)}"


def _constants(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            for tensor in (a.t for a in node.attribute if a.name == "value"):
                named = onnx.TensorProto()
                named.CopyFrom(tensor)
                named.name = node.output[0]
                yield named


def _rename(names: Any, old: str, new: str) -> None:
    for place, name in enumerate(names):
        if name == old:
            names[place] = new
