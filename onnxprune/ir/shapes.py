"""Concrete shapes and known values of every tensor, for one binding of the dynamic input sizes.

One forward pass in graph order, through the bodies of control flow too (`ir/flow.py`): each node's
output types come from onnx's own inference for that node (it costs some 10 µs), given the input
types and whatever small values are known; a node whose inputs are all known is evaluated with
onnx's reference implementation. Only integers, booleans and single numbers are ever *known*:
weights stay weights. Evaluation is bounded by `VALUE_LIMIT` elements a tensor, so that a few bytes
of model cannot ask for gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx.shape_inference import InferenceError, infer_node_outputs

from onnxprune.ir.bindings import TRIPS
from onnxprune.ir.evaluate import AnyArray, evaluate, is_function
from onnxprune.ir.flow import CONTROL, follow
from onnxprune.progress import track

VALUE_LIMIT = 1 << 20
"""A value of more elements is never computed."""
_HINT_LIMIT = 16
"""Up to so many elements of any type are shown to inference: scales of Resize, for example."""
_KNOWN_TYPES = frozenset((onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL))
_DEFAULTS = {"STFT": {"onesided": 1}}
"""Attributes that onnx 1.23 infers shapes without, as if they had another default."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody else tells of a tensor: its element type, and its shape if that is known."""

    elem_type: int
    shape: Shape | None


Teller = Callable[
    [onnx.NodeProto, Mapping[str, onnx.TypeProto], Mapping[str, onnx.TensorProto], int, int],
    Mapping[str, Told],
]
"""From a node, the types of its inputs, the values known of them, the version of its operator set
and the IR version to the types of its outputs."""


@dataclass(slots=True, eq=False)
class Facts:
    """What is known of the tensors of a graph under one binding.

    Attributes:
        shapes: concrete shape by value name; values without one are absent.
        elem_types: onnx element type by value name.
        values: elements of the tensors that follow from shapes and small constants alone.
        containers: values that are no tensors: sequences, optionals, maps.
        trips: how often the body of a loop runs, by the loop's first result, where that is known.
        guessed: whether some loop was taken to run as often as the binding says.
    """

    shapes: dict[str, Shape] = field(default_factory=dict[str, Shape])
    elem_types: dict[str, int] = field(default_factory=dict[str, int])
    values: dict[str, AnyArray] = field(default_factory=dict[str, AnyArray])
    containers: set[str] = field(default_factory=set[str])
    trips: dict[str, int] = field(default_factory=dict[str, int])
    guessed: bool = False

    def without(self, names: Collection[str]) -> Facts:
        """The facts of all other values."""
        return Facts(
            {name: shape for name, shape in self.shapes.items() if name not in names},
            {name: kind for name, kind in self.elem_types.items() if name not in names},
            {name: value for name, value in self.values.items() if name not in names},
            self.containers - set(names),
            self.trips,
            self.guessed,
        )


def interpret(
    proto: onnx.ModelProto,
    inputs: Mapping[str, Shape],
    known: Mapping[str, Told] | None = None,
    trips: int = TRIPS[0],
    teller: Teller | None = None,
) -> Facts:
    """Follow shapes and small values through a model, bodies of control flow included.

    Args:
        proto: the structure; initializers may lack their data if they are large. Names in bodies
            should be unique over the model: facts of values that share one are mixed up.
        inputs: concrete shapes of the graph inputs.
        known: what ONNX Runtime tells of values that inference cannot.
        trips: how often loops run that end when the data say so: a dynamic size like others.
        teller: knows operators that onnx does not.

    Returns:
        The facts; a value that nothing tells the shape of is absent.
    """
    return Interpreter(proto, inputs, known or {}, trips, teller).run()


class Interpreter:
    """One forward pass; `ir/flow.py` leads it through the bodies.

    Attributes:
        facts: what is known so far.
        types: type by value name, with the shape where that is known.
        trips: how often loops run that end when the data say so.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        inputs: Mapping[str, Shape],
        known: Mapping[str, Told],
        trips: int,
        teller: Teller | None = None,
    ) -> None:
        """Prepare the pass; see `interpret`."""
        self.trips = trips
        self.facts = Facts()
        self.types: dict[str, onnx.TypeProto] = {}
        self._graph = proto.graph
        self._opset = {
            o.domain.replace("ai.onnx", "", 1) or "": o.version for o in proto.opset_import
        }
        self._imports = list(proto.opset_import)
        self._ir_version = proto.ir_version
        self._known = known
        self._teller = teller
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._declared: dict[str, onnx.TypeProto] = {}
        self._symbols: dict[str, int] = {}
        for info in self._graph.input:
            if info.type.HasField("tensor_type"):
                dims = info.type.tensor_type.shape.dim
                for dim, size in zip(dims, inputs.get(info.name, ()), strict=False):
                    self._symbols[dim.dim_param] = size
                elem_type = info.type.tensor_type.elem_type
                self.note(info.name, elem_type, inputs.get(info.name))
            else:
                self.note_type(info.name, info.type)

    def run(self) -> Facts:
        """Go through the whole model."""
        self.walk(self._graph)
        return self.facts

    def walk(self, graph: onnx.GraphProto) -> None:
        """Go through the main graph or a body; what is known of a body's inputs must be noted."""
        for info in (*graph.value_info, *graph.output):
            self._declared[info.name] = info.type
        for tensor in graph.initializer:
            self.note(tensor.name, tensor.data_type, tuple(tensor.dims))
            if not has_data(tensor):
                continue
            if _may_know(tensor.data_type, prod(tensor.dims)):
                self.learn(tensor.name, onnx.numpy_helper.to_array(tensor))
            elif prod(tensor.dims) <= _HINT_LIMIT:
                self._tensors[tensor.name] = tensor
        whole = graph is self._graph
        for node in track(graph.node, "following shapes") if whole else graph.node:
            self._visit(node)

    def version(self, domain: str = "") -> int:
        """The version of an operator set; 0 where the model does not import it."""
        return self._opset.get(domain, 0)

    def _visit(self, node: onnx.NodeProto) -> None:
        if node.op_type == "Constant" and not node.domain:
            self._constant(node)
            return
        if not (node.op_type in CONTROL and follow(self, node)):
            for name, kind in self._infer(node).items():
                if name:
                    self.note_type(name, kind)
        if node.op_type == "Reshape" and not node.domain:
            self._check_reshape(node)
        for name in node.output:
            if name and name not in self.facts.shapes:
                self._accept(node, name)
        self._evaluate(node)

    def _check_reshape(self, node: onnx.NodeProto) -> None:
        """Doubt a result of another size: inference does not compare them."""
        x, y = (self.facts.shapes.get(names[0]) for names in (node.input, node.output))
        if x is not None and y is not None and prod(x) != prod(y):
            self.forget(node.output)

    def _accept(self, node: onnx.NodeProto, name: str) -> None:
        """Take a type from elsewhere: from ONNX Runtime, or for an unknown operator the file."""
        told = self._known.get(name)
        declared = self.types.get(name) or self._declared.get(name)
        if told is not None and told.shape is not None:
            self.note(name, told.elem_type, told.shape)
        elif declared is not None and declared.HasField("tensor_type"):
            tensor = declared.tensor_type
            foreign = not onnx.defs.has(node.op_type, node.domain)
            sizes = [d.dim_value or self._symbols.get(d.dim_param, 0) for d in tensor.shape.dim]
            if foreign and tensor.HasField("shape") and all(sizes):
                self.note(name, tensor.elem_type, tuple(sizes))

    def _constant(self, node: onnx.NodeProto) -> None:
        array = constant_of(node)
        if array is None:
            return
        elem_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        self.note(node.output[0], elem_type, array.shape)
        if _may_know(elem_type, array.size):
            self.learn(node.output[0], array)

    def _infer(self, node: onnx.NodeProto) -> Mapping[str, onnx.TypeProto]:
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = self._opset.get(domain)
        schema = None if version is None else _schema(node.op_type, version, domain)
        types = {name: self.types[name] for name in node.input if name in self.types}
        if any(name and name not in types for name in node.input):
            return {}
        if schema is None:
            self._ask(node, types, version or 1)
            return {}
        data = {name: self._tensors[name] for name in node.input if name in self._tensors}
        node = _told_defaults(node)
        try:
            return infer_node_outputs(
                schema, node, types, data, opset_imports=self._imports, ir_version=self._ir_version
            )
        except (InferenceError, RuntimeError, onnx.checker.ValidationError):
            return {}

    def _ask(self, node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], version: int) -> None:
        """Note what the teller knows of a node, if its operator is none of onnx's."""
        if self._teller is None or onnx.defs.has(node.op_type, node.domain):
            return
        told_of = self._teller(node, types, self._tensors, version, self._ir_version)
        for name, told in told_of.items():
            self.note(name, told.elem_type, told.shape)

    def _evaluate(self, node: onnx.NodeProto) -> None:
        facts = self.facts
        if node.op_type in ("Shape", "Size") and node.input[0] in facts.shapes:
            self.learn(node.output[0], _shape_value(node, facts.shapes[node.input[0]]))
            return
        if not is_function(node) or any(n and n not in self._tensors for n in node.input):
            return
        known = all(name in facts.values for name in node.input if name)
        shapes = [facts.shapes.get(name) for name in node.output if name]
        limit = VALUE_LIMIT if known else _HINT_LIMIT
        if any(shape is None or prod(shape) > limit for shape in shapes):
            return
        feeds = [
            facts.values[name] if known else onnx.numpy_helper.to_array(self._tensors[name])
            for name in node.input
            if name
        ]
        results = evaluate(node, feeds, self._opset.get("", 1))
        for name, array in zip(node.output, results, strict=False):
            if not name or facts.shapes.get(name) != array.shape:
                continue
            if known:
                self.learn(name, array)
            else:  # a few weights, or scales of a Resize: shown to inference, never folded
                self._tensors[name] = onnx.numpy_helper.from_array(array, name)

    def learn(self, name: str, array: AnyArray) -> None:
        """Take over the elements of a tensor."""
        self.facts.values[name] = array
        self._tensors[name] = onnx.numpy_helper.from_array(array, name)
        if name not in self.facts.shapes:
            elem_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            self.note(name, elem_type, array.shape)

    def note(self, name: str, elem_type: int, shape: Shape | None) -> None:
        """Take over a tensor's type, and its shape if that is known."""
        self.types[name] = onnx.helper.make_tensor_type_proto(elem_type, shape)
        self.facts.elem_types[name] = elem_type
        if shape is not None:
            self.facts.shapes[name] = shape

    def forget(self, names: Iterable[str]) -> None:
        """Drop all that was noted of some values."""
        for name in names:
            self.types.pop(name, None)
            self._tensors.pop(name, None)
            self.facts.shapes.pop(name, None)
            self.facts.elem_types.pop(name, None)
            self.facts.values.pop(name, None)

    def note_type(self, name: str, kind: onnx.TypeProto) -> None:
        """Take over a type of any kind."""
        self.types[name] = kind
        if not kind.HasField("tensor_type"):
            self.facts.containers.add(name)
            return
        tensor = kind.tensor_type
        self.facts.elem_types[name] = tensor.elem_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            self.facts.shapes[name] = tuple(d.dim_value for d in tensor.shape.dim)


def constant_of(node: onnx.NodeProto) -> AnyArray | None:
    """The elements of a Constant node; None for the kinds without a dense tensor."""
    attribute = node.attribute[0]
    if attribute.name == "value":
        return onnx.numpy_helper.to_array(attribute.t)
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name in ("value_float", "value_floats"):
        return np.asarray(value, dtype=np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.asarray(value, dtype=np.int64)
    return None


def has_data(tensor: onnx.TensorProto) -> bool:
    """Whether a stub holds its elements."""
    fields = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")
    return not prod(tensor.dims) or any(len(getattr(tensor, name)) for name in fields)


def _told_defaults(node: onnx.NodeProto) -> onnx.NodeProto:
    """The node with the defaults of its attributes that onnx's inference gets wrong."""
    missing = dict(_DEFAULTS.get(node.op_type, {}))
    for attribute in node.attribute if missing else ():
        missing.pop(attribute.name, None)
    if missing:
        told = onnx.NodeProto()
        told.CopyFrom(node)
        told.attribute.extend(onnx.helper.make_attribute(*pair) for pair in missing.items())
        return told
    return node


def _may_know(elem_type: int, size: int) -> bool:
    return elem_type in _KNOWN_TYPES or (size == 1 and elem_type != onnx.TensorProto.STRING)


def _shape_value(node: onnx.NodeProto, shape: Shape) -> AnyArray:
    if node.op_type == "Size":
        return np.array(prod(shape), dtype=np.int64)
    bounds = {a.name: a.i for a in node.attribute}
    return np.array(shape[bounds.get("start", 0) : bounds.get("end")], dtype=np.int64)


@cache
def _schema(op_type: str, version: int, domain: str) -> Any:
    if not onnx.defs.has(op_type, domain):
        return None
    try:
        return onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
