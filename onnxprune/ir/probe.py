"""Variants of a model that exist only to be run: more outputs, masks, masked operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxprune.ir import graph
from onnxprune.ir.edit import WHERE_SINCE, with_constants
from onnxprune.ir.elements import dtype_of
from onnxprune.ir.exposure import exposable, expose
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor, Tensor

_WHERE_TYPES = frozenset(
    (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.INT64,
        onnx.TensorProto.INT32,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.STRING,
    )
)
"""Types that ONNX Runtime's Where knows on the CPU; others take a detour over one of them."""
_INTEGERS = frozenset(
    getattr(onnx.TensorProto, f"{sign}INT{bits}")
    for sign, bits in product(("U", ""), (8, 16, 32, 64))
)
_INFINITE = frozenset(
    getattr(onnx.TensorProto, name) for name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")
)
"""Types that have infinities, and a NaN for what has no value."""
_PLAIN_TYPES = frozenset(
    (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
)
_LIMITS_ARE_INPUTS_SINCE = 11
_DROPS_AS_TOLD_SINCE = 12
"""First opset in which a Dropout can be told to drop in inference."""
_AXES_ARE_INPUT_SINCE = {"ReduceMean": 18, "ReduceSum": 13}


def with_outputs(model: Model, names: Iterable[str], elem_types: Mapping[str, int]) -> Model:
    """A copy of a model whose outputs are the given values and nothing else.

    Values in bodies are brought out (`ir/exposure.py`).
    """
    probe = model.copy()
    wanted = list(names)
    inside = exposable(probe.proto).keys() & set(wanted)
    if inside:
        expose(probe.proto.graph, inside, elem_types)
    del probe.proto.graph.output[:]
    for name in wanted:
        known = elem_types.get(name, 0)
        info = onnx.helper.make_tensor_value_info(name, known, None)
        if not known:
            info = onnx.helper.make_empty_tensor_value_info(name)
        probe.proto.graph.output.append(info)
    del probe.proto.graph.value_info[:]
    return probe


def cut_at(model: Model, names: Iterable[str], elem_types: Mapping[str, int]) -> Model:
    """A copy of a model that computes the given values of its main graph, and nothing else."""
    probe = with_outputs(model, names, elem_types)
    graph.replace_nodes(probe.proto.graph, graph.live_nodes(probe.proto.graph))
    unused = probe.constants.keys() - graph.uses(probe.proto.graph).keys()
    probe.drop_constants(unused)
    return probe


def pinned(model: Model, names: Mapping[str, str], elem_types: Mapping[str, int]) -> Model:
    """A copy of a model that is fed some values of its main graph, and makes them all the same.

    Args:
        model: the model.
        names: by value that it is to be fed, the name that what it makes itself gets.
        elem_types: element type by value name.
    """
    probe = model.copy()
    for node in probe.proto.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = names.get(name, name)
    for name in names:
        info = onnx.helper.make_tensor_value_info(name, elem_types[name], None)
        probe.proto.graph.input.append(info)
    return probe


def jittered(model: Model, elem_types: Mapping[str, int], seed: int = 0) -> Model:
    """A copy of a model in which every result is off by up to a unit in the last place, at random.

    What that does to later results is what rounding does to them: D. S. Parker, "Monte Carlo
    Arithmetic", 1997. Results of control flow are left as their bodies made them.

    Args:
        model: the model.
        elem_types: element type by value name; values that are absent stay exact.
        seed: of the random numbers.
    """
    builder = ProbeBuilder(model, elem_types)
    rng = np.random.default_rng(seed)
    old = model.opset.get("", 1) < _DROPS_AS_TOLD_SINCE
    types = _PLAIN_TYPES - ({onnx.TensorProto.DOUBLE} if old else set())
    for place, (node, _) in enumerate(graph.all_nodes(model.proto.graph)):
        source = builder.source(place)
        builder.add(source)
        made = () if any(graph.subgraphs(node)) else enumerate(node.output)
        for index, name in made:
            elem_type = elem_types.get(name, 0)
            if name and elem_type in types:
                source.output[index] = f"{name}::exact"
                drawn = int(rng.integers(1 << 30))
                builder.jitter(source.output[index], name, elem_type, drawn)
    return builder.finish()


class ProbeBuilder:
    """Writes new lists of nodes for a copy of a model and its bodies, in graph order."""

    def __init__(self, model: Model, elem_types: Mapping[str, int]) -> None:
        """Start from `model`, which stays as it is."""
        self._model = model.copy()
        self._constants: dict[str, Tensor] = dict(model.constants)
        self._elem_types = elem_types
        self._parts: list[tuple[onnx.GraphProto, list[onnx.NodeProto]]] = []
        self._places: list[tuple[onnx.NodeProto, list[onnx.NodeProto]]] = []
        self._nodes = self._open(self._model.proto.graph)
        self._count = 0
        self._prefix = "onnxprune::probe"
        while any(name.startswith(f"{self._prefix}::") for name in self._constants):
            self._prefix += "'"  # a probe of a probe
        self._elem_type = 0
        self._version = model.opset.get("", 1)

    def _open(self, part: onnx.GraphProto) -> list[onnx.NodeProto]:
        """Prepare the lists of a graph and its bodies, in the order of `graph.all_nodes`."""
        fresh: list[onnx.NodeProto] = []
        for node in part.node:
            for body in graph.subgraphs(node):
                self._open(body)
            self._places.append((node, fresh))
        self._parts.append((part, fresh))
        return fresh

    def source(self, place: int) -> onnx.NodeProto:
        """The node at a place of the model; what follows is written into the graph around it."""
        node, self._nodes = self._places[place]
        return node

    def add(self, node: onnx.NodeProto) -> None:
        """Take a node over as it is."""
        self._nodes.append(node)

    def typed(self, elem_type: int) -> ProbeBuilder:
        """Set the element type of the scalars that `like` makes."""
        self._elem_type = elem_type
        return self

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        return self.nodes(1, op_type, *inputs, **attributes)[0]

    def nodes(self, count: int, op_type: str, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return the outputs' names."""
        names = [self._fresh() for _ in range(count)]
        self._nodes.append(onnx.helper.make_node(op_type, list(inputs), names, **attributes))
        return names

    def hide(self, x: str, mask: npt.NDArray[np.bool_], elem_type: int, neutral: str = "") -> str:
        """Put a neutral element where `mask` is false.

        Args:
            x: a value.
            mask: what is shown of it.
            elem_type: its element type.
            neutral: a value of one element and the same type; 0 unless given.
        """
        if elem_type == onnx.TensorProto.BOOL:
            return self.node("And", self.constant(mask), x)
        self.typed(elem_type)
        if not neutral:
            return self.where(mask, x, 0.0)
        shape = self.constant(np.array([], dtype=np.int64))
        return self.chosen(mask, x, self.node("Reshape", neutral, shape))

    def where(self, mask: npt.NDArray[np.bool_], x: str, value: float) -> str:
        """Add `x` with `value` where `mask` is false.

        Before there was Where, a place that holds the value is put at the end of each axis and
        looked up; by arithmetic, which cannot hide a NaN, only where axes depend on each other.
        """
        if self._version >= WHERE_SINCE:
            return self.chosen(mask, x, self._filler(value))
        axes = _axis_masks(mask)
        if axes is not None and self._elem_type in _PLAIN_TYPES:
            return self._looked_up(x, axes, value)
        dtype = dtype_of(self._elem_type)
        shown = self.node("Mul", x, self.constant(mask.astype(dtype)))
        filler = np.where(mask, 0.0, self._number(value)).astype(dtype)
        return self.node("Add", shown, self.constant(filler))

    def chosen(self, mask: npt.NDArray[np.bool_], x: str, other: str) -> str:
        """Add `x` with `other` where `mask` is false, both of the type set by `typed`."""
        kind = self._elem_type
        if kind in _WHERE_TYPES:
            return self.node("Where", self.constant(mask), x, other)
        wide = onnx.TensorProto.INT64 if kind in _INTEGERS else onnx.TensorProto.FLOAT
        x, other = (self.node("Cast", name, to=wide) for name in (x, other))
        return self.node("Cast", self.node("Where", self.constant(mask), x, other), to=kind)

    def _filler(self, value: float) -> str:
        """Add a scalar of the type set by `typed`, infinite where the type can be."""
        kind = self._elem_type
        if kind == onnx.TensorProto.STRING:
            return self.constant(np.array("", dtype=np.object_))
        if kind in _INFINITE:
            return self.constant(np.array(value).astype(dtype_of(kind)))
        return self.like(value)

    def _looked_up(self, x: str, axes: Sequence[npt.NDArray[np.bool_]], value: float) -> str:
        for axis, shown in enumerate(axes):
            if not shown.all():
                pads = [0] * (2 * len(axes))
                pads[len(axes) + axis] = 1
                longer = self.node("Pad", x, pads=pads, value=self._number(value))
                places = np.where(shown, np.arange(shown.size), shown.size)
                x = self.node("Gather", longer, self.constant(places), axis=axis)
        return x

    def rename(self, old: str, new: str) -> None:
        """Give a value its final name, after all that reads it under the old one.

        ONNX Runtime's Identity does not know every type, so it is done without where that can be.
        """
        if self._nodes and list(self._nodes[-1].output) == [old]:
            self._nodes[-1].output[0] = new
        else:
            self._nodes.append(onnx.helper.make_node("Identity", [old], [new]))

    def jitter(self, exact: str, name: str, elem_type: int, seed: int) -> None:
        """Add a value that differs from another one by a unit in the last place, up or down."""
        self.typed(elem_type)
        unit = self.like(float(np.finfo(dtype_of(elem_type)).eps))
        off = self._signed(self.node("Mul", self._finite(exact), unit), elem_type, seed)
        self.rename(self.node("Add", exact, off), name)

    def _finite(self, x: str) -> str:
        """Add `x` with the largest finite numbers for infinities."""
        if self._version < _LIMITS_ARE_INPUTS_SINCE:
            limits = {name: self._number(sign * np.inf) for name, sign in (("min", -1), ("max", 1))}
            return self.node("Clip", x, **limits)
        return self.node("Clip", x, self.like(-np.inf), self.like(np.inf))

    def _signed(self, x: str, elem_type: int, seed: int) -> str:
        """Add `x` with random signs; ONNX Runtime has random numbers up to opset 21 alone."""
        if self._version >= _DROPS_AS_TOLD_SINCE:
            half, always = self.constant(np.array(0.5, np.float32)), self.constant(np.array(True))
            doubled = self.node("Dropout", x, half, always, seed=seed)
            return self.node("Sub", doubled, x)
        drawn = {"low": -1.0, "high": 1.0, "seed": float(seed), "dtype": onnx.TensorProto.FLOAT}
        share = self.node("Cast", self.node("RandomUniformLike", x, **drawn), to=elem_type)
        return self.node("Mul", x, share)

    def reduce(self, op_type: str, x: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """Add a ReduceSum or ReduceMean over `axes`; they are an attribute in older opsets."""
        if self._version < _AXES_ARE_INPUT_SINCE[op_type]:
            return self.node(op_type, x, axes=list(axes), keepdims=int(keepdims))
        places = self.constant(np.array(axes, dtype=np.int64))
        return self.node(op_type, x, places, keepdims=int(keepdims))

    def constant(self, array: npt.NDArray[np.generic]) -> str:
        """Add a constant and return its name."""
        name = self._fresh()
        self._constants[name] = ArrayTensor.of(np.ascontiguousarray(array).reshape(array.shape))
        return name

    def like(self, value: float) -> str:
        """Add a scalar of the type set by `typed`.

        Infinities become extreme finite values, and what is too small for the type the smallest.
        """
        dtype = dtype_of(self._elem_type)
        number = np.array(self._number(value)).astype(dtype)
        if value and not number and dtype.kind == "f":
            number = np.array(np.finfo(dtype).smallest_subnormal)
        return self.constant(number)

    def _number(self, value: float) -> float:
        if not np.isinf(value):
            return value
        dtype = dtype_of(self._elem_type)
        if dtype == np.bool_:
            return float(value > 0)
        info = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(_finite_kind(dtype))
        return float(info.max if value > 0 else info.min)

    def finish(self) -> Model:
        """The model with the nodes that were added."""
        for part, nodes in self._parts:
            graph.set_nodes(part, nodes)
        return with_constants(self._model, self._constants)

    def _fresh(self) -> str:
        self._count += 1
        return f"{self._prefix}::{self._count}"


def _axis_masks(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.bool_]] | None:
    """A mask for each axis, if an element is shown where all of them say so; else None.

    Axes of size 1 broadcast. What hides everything does so along its longest axis.
    """
    if not mask.any():
        longest = int(np.argmax(mask.shape))
        hidden = [np.full(size, axis != longest) for axis, size in enumerate(mask.shape)]
        return hidden if mask.size > 1 else None
    axes = [
        np.asarray(mask.any(axis=tuple(place for place in range(mask.ndim) if place != axis)))
        for axis in range(mask.ndim)
    ]
    together = np.ones((), dtype=np.bool_)
    for shown in axes:
        together = np.logical_and.outer(together, shown)
    return axes if np.array_equal(together, mask) else None


def _finite_kind(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A float dtype that numpy knows the limits of; those of float32 fit the exotic ones."""
    return dtype if dtype.kind == "f" else np.dtype(np.float32)
