"""Fold branches without channels.

A tensor with an axis of size 0 is *empty*. Concat leaves it out; a sum of products over no
channels is its bias, a constant; adding a constant 0 changes nothing. Nodes that make nothing but
empty tensors go, and so does everything that only they needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs  # pyright: ignore[reportMissingTypeStubs]  (it has none)

from onnxprune.errors import ModelError
from onnxprune.ir import bindings
from onnxprune.ir.graph import all_nodes, captured, label, subgraphs
from onnxprune.ir.model import Model
from onnxprune.ir.shapes import Facts, Shape, interpret
from onnxprune.ir.surgeon import operate
from onnxprune.ir.tensors import dtype_of, is_float_type

T = TypeVar("T")
_SUMS = frozenset(("Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul", "ReduceSum"))
_BROADCASTING = frozenset(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"))
_UNARY: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "Identity": lambda x: x,
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
}
_LISTS_FROM = {"Resize": 1}
"""The first input that lists sizes or factors, which may be empty by itself."""
Constants = dict[str, npt.NDArray[Any]]


def fold_empty(model: Model, fixed: Mapping[str, Shape] | None = None) -> Model:
    """Fold what is empty; the model itself where nothing is.

    Args:
        model: the model; it is left as it is.
        fixed: shapes of inputs that the user gave, by name.

    Raises:
        ModelError: an operator that needs the channels that are gone.
    """
    tensors = model.constants.values()
    if all(tensor.size or not is_float_type(tensor.elem_type) for tensor in tensors):
        return model
    inputs = bindings.input_shapes(model.proto, fixed)
    facts = interpret(model.proto, inputs)
    _check_bodies(model, facts)
    folder = _Folder(model, facts)
    return operate(model, folder.fold)


def _check_bodies(model: Model, facts: Facts) -> None:
    """Refuse empty tensors inside bodies, where nothing is folded."""
    for node, part in all_nodes(model.proto.graph):
        read = _channels(node.op_type, node.input)
        if part is not model.proto.graph and any(_is_empty(facts, name) for name in read):
            raise _cannot_do_without(node.op_type, label(node))


def _is_empty(facts: Facts, name: str) -> bool:
    """Whether a tensor lost all its channels; a list of sizes may be empty by itself."""
    return 0 in facts.shapes.get(name, (1,)) and is_float_type(facts.elem_types[name])


def _channels(op_type: str, inputs: Sequence[T]) -> Sequence[T]:
    """The inputs of a node that carry channels."""
    return inputs[: _LISTS_FROM.get(op_type, len(inputs))]


def _cannot_do_without(op_type: str, where: str) -> ModelError:
    return ModelError(
        f"{op_type} cannot do without the channels that were removed",
        where=f"node {where}",
        hint="keep at least one channel of every group that it reads",
    )


class _Folder:
    """Walks a graph in order and keeps what it learns of each value."""

    def __init__(self, model: Model, facts: Facts) -> None:
        self._model = model
        self._facts = facts
        self._constant: Constants = {}

    def fold(self, graph: Any) -> None:
        outputs = {tensor.name for tensor in graph.outputs}
        for node in self._model.proto.graph.node:
            outputs.update(*(captured(body) for body in subgraphs(node)))
        for node in list(graph.nodes):
            made = [tensor for tensor in node.outputs if not tensor.is_empty()]
            if made and all(self._is_empty(tensor) for tensor in made):
                node.outputs.clear()
            elif node.op == "Concat":
                self._concat(node, outputs)
            elif node.op in _SUMS and any(self._is_empty(tensor) for tensor in node.inputs):
                self._sum(node, outputs)
            elif any(tensor.name in self._constant for tensor in node.inputs):
                self._read_constant(node, outputs)
            elif any(self._is_empty(tensor) for tensor in _channels(node.op, node.inputs)):
                self._refuse(node)

    def _is_empty(self, tensor: Any) -> bool:
        return _is_empty(self._facts, tensor.name)

    def _concat(self, node: Any, outputs: set[str]) -> None:
        full = [tensor for tensor in node.inputs if not self._is_empty(tensor)]
        node.inputs = [self._written_out(tensor) for tensor in full]
        if len(full) == 1:
            _bypass(node, node.inputs[0], outputs)

    def _sum(self, node: Any, outputs: set[str]) -> None:
        """The value of a sum over nothing: the bias, with axes that broadcast."""
        output = node.outputs[0]
        if output.name in outputs:
            raise ModelError(
                f"nothing is left that output {output.name} could depend on",
                where=f"node {node.name or output.name}",
                hint="keep at least one channel of every group that it reads",
            )
        rank = len(self._facts.shapes[output.name])
        dtype = dtype_of(self._facts.elem_types[output.name])
        value: npt.NDArray[Any] = np.zeros([1] * rank, dtype=dtype)
        if len(node.inputs) > 2 and node.op in ("Conv", "ConvTranspose", "Gemm"):
            bias = self._model.constants.get(node.inputs[2].name)
            if bias is None:
                self._refuse(node)
                return
            trailing = rank - 2 if node.op != "Gemm" else 0
            value = bias.numpy().reshape(bias.shape + (1,) * trailing)
            value = value * np.asarray(node.attrs.get("beta", 1.0), dtype=value.dtype)
            value = value.reshape((1,) * (rank - value.ndim) + value.shape)
        self._constant[output.name] = value
        node.outputs.clear()

    def _read_constant(self, node: Any, outputs: set[str]) -> None:
        """An operator one of whose operands is now a constant that broadcasts."""
        output = node.outputs[0]
        places = [i for i, t in enumerate(node.inputs) if t.name in self._constant]
        values = [self._constant[node.inputs[i].name] for i in places]
        if node.op in _UNARY and output.name not in outputs:
            self._constant[output.name] = _UNARY[node.op](values[0]).astype(values[0].dtype)
            node.outputs.clear()
            return
        others = [t for i, t in enumerate(node.inputs) if i not in places]
        shape = self._facts.shapes.get(output.name)
        whole = [t for t in others if self._facts.shapes.get(t.name) == shape]
        if node.op in _BROADCASTING and whole:
            changes = node.op not in ("Add", "Sub") or (node.op == "Sub" and places == [0])
            if changes or values[0].any():
                node.inputs[places[0]] = gs.Constant(f"{output.name}::bias", values[0])
            else:
                _bypass(node, whole[0], outputs)
            return
        node.inputs = [self._written_out(tensor) for tensor in node.inputs]

    def _written_out(self, tensor: Any) -> Any:
        """A folded value at its full size, for operators that do not broadcast."""
        if tensor.name not in self._constant:
            return tensor
        shape = self._facts.shapes[tensor.name]
        if bindings.has_dynamic_axes(self._model.proto):
            raise ModelError(
                "a branch without channels is read by an operator that does not broadcast",
                where=f"value {tensor.name}",
                hint="fix the sizes of the model's dynamic inputs, or keep a channel of the branch",
            )
        value = np.broadcast_to(self._constant[tensor.name], shape)
        return gs.Constant(f"{tensor.name}::full", np.ascontiguousarray(value))

    def _refuse(self, node: Any) -> None:
        raise _cannot_do_without(node.op, node.name or node.outputs[0].name)


def _bypass(node: Any, source: Any, outputs: set[str]) -> None:
    """Let the readers of a node read `source` instead; an output of the graph keeps its name."""
    output = node.outputs[0]
    if output.name in outputs:
        node.op, node.attrs, node.inputs = "Identity", {}, [source]
        return
    for reader in list(output.outputs):
        reader.inputs = [source if tensor is output else tensor for tensor in reader.inputs]
    node.outputs.clear()
