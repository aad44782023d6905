"""Fold branches without channels.

A tensor with an axis of size 0 is *empty*. Concat leaves it out; a sum of products over no
channels is its bias, a constant; what is computed from that alone is constant, too, and adding a
constant 0 changes nothing. Nodes that make nothing but empty tensors go, and so does everything
that only they needed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs  # pyright: ignore[reportMissingTypeStubs]  (it has none)

from onnxprune.errors import ModelError
from onnxprune.ir import bindings
from onnxprune.ir.elements import dtype_of, is_weight_type
from onnxprune.ir.evaluate import evaluate_surely, is_function
from onnxprune.ir.graph import all_nodes, captured, label, subgraphs
from onnxprune.ir.model import Model
from onnxprune.ir.shapes import Facts
from onnxprune.ir.surgeon import operate

T = TypeVar("T")
_SUMS = frozenset(("Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul", "ReduceSum"))
_BROADCASTING = frozenset(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Sum"))
_LISTS_FROM = {"Resize": 1}
"""The first input that lists sizes or factors, which may be empty by itself."""
_LARGEST = 1 << 24
"""A constant of more elements is not computed."""
_ROUNDING = 8
"""By so many units in the last place of the largest element may indices differ that are alike."""
Array = npt.NDArray[Any]


def has_empty(model: Model, before: Collection[str] = ()) -> bool:
    """Whether some weight of a model has no elements.

    Args:
        model: the model.
        before: values that had none before channels were removed; they do not count.
    """
    return any(
        not tensor.size and is_weight_type(tensor.elem_type) and name not in before
        for name, tensor in model.constants.items()
    )


def fold_empty(model: Model, facts: Facts, before: Collection[str] = ()) -> Model:
    """Fold what is empty.

    Args:
        model: the model; it is left as it is.
        facts: shapes and types of its values.
        before: values that were empty before channels were removed; they stay.

    Raises:
        ModelError: an operator that needs the channels that are gone.
    """
    emptied = {
        name
        for name, shape in facts.shapes.items()
        if 0 in shape and name not in before and is_weight_type(facts.elem_types[name])
    }
    _check_bodies(model, emptied)
    folder = _Folder(model, facts, emptied)
    return operate(model, folder.fold)


def _check_bodies(model: Model, emptied: set[str]) -> None:
    """Refuse empty tensors inside bodies, where nothing is folded."""
    for node, part in all_nodes(model.proto.graph):
        read = _channels(node.op_type, node.input)
        if part is not model.proto.graph and not emptied.isdisjoint(read):
            raise _cannot_do_without(node.op_type, label(node))


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
    """Walks a graph in order and keeps what it learns of each value.

    Attributes:
        _emptied: tensors that lost all their channels; a list of sizes may be empty by itself.
        _constant: elements of the values that are constant now, with axes of size 1 where all
            indices are alike.
        _stuck: nodes that cannot do without what is gone, if anybody needs them.
        _rigid: nodes that read constants, and do not broadcast.
        _fixed: what follows from the file's constants alone.
    """

    def __init__(self, model: Model, facts: Facts, emptied: set[str]) -> None:
        self._model = model
        self._facts = facts
        self._emptied = emptied
        self._constant: dict[str, Array] = {}
        self._stuck: list[Any] = []
        self._rigid: list[Any] = []
        self._nodes = {name: node for node in model.proto.graph.node for name in node.output}
        self._fixed = set(model.constants)
        for node in model.proto.graph.node:
            if is_function(node) and self._fixed.issuperset(name for name in node.input if name):
                self._fixed.update(node.output)

    def fold(self, graph: Any) -> None:
        outputs = {tensor.name for tensor in graph.outputs}
        for node in self._model.proto.graph.node:
            outputs.update(*(captured(body) for body in subgraphs(node)))
        for node in list(graph.nodes):
            made = [t for t in node.outputs if t.outputs or t.name in outputs]
            empty = [self._is_empty(tensor) for tensor in _channels(node.op, node.inputs)]
            if made and all(self._is_empty(tensor) for tensor in made):
                node.outputs.clear()
            elif node.op in _SUMS and any(empty):
                self._sum(node, outputs)
            elif node.op == "Concat":
                self._concat(node, outputs)
            elif any(empty):
                self._stuck.append(node)
            else:
                self._read(node, outputs)
        live = _live(graph)
        for node in self._stuck:
            if id(node) in live:
                raise _cannot_do_without(node.op, node.name or node.outputs[0].name)
        for node in self._rigid:
            if id(node) in live:
                node.inputs = [self._written_out(tensor) for tensor in node.inputs]

    def _concat(self, node: Any, outputs: set[str]) -> None:
        node.inputs = [tensor for tensor in node.inputs if not self._is_empty(tensor)]
        if len(node.inputs) == 1 and node.inputs[0].name not in self._constant:
            _bypass(node, node.inputs[0], outputs)
        else:
            self._read(node, outputs)

    def _is_empty(self, tensor: Any) -> bool:
        return tensor.name in self._emptied

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
                self._stuck.append(node)
                return
            trailing = rank - 2 if node.op != "Gemm" else 0
            value = bias.numpy().reshape(bias.shape + (1,) * trailing)
            value = value * np.asarray(node.attrs.get("beta", 1.0), dtype=value.dtype)
            value = value.reshape((1,) * (rank - value.ndim) + value.shape)
        self._constant[output.name] = value
        node.outputs.clear()

    def _read(self, node: Any, outputs: set[str]) -> None:
        """An operator some of whose operands may be constant now."""
        given = [tensor for tensor in node.inputs if not tensor.is_empty()]
        known = [tensor.name in self._constant for tensor in given]
        if not any(known):
            return
        fixed = all(k or t.name in self._fixed for k, t in zip(known, given, strict=True))
        if fixed and outputs.isdisjoint(t.name for t in node.outputs) and self._evaluated(node):
            node.outputs.clear()
            return
        output = node.outputs[0]
        shape = self._facts.shapes.get(output.name)
        whole = [t for t in given if self._facts.shapes.get(t.name) == shape]
        whole = [t for t in whole if t.name not in self._constant]
        if node.op in _BROADCASTING and whole:
            places = [i for i, t in enumerate(node.inputs) if t.name in self._constant]
            values = {place: self._constant[node.inputs[place].name] for place in places}
            changes = node.op not in ("Add", "Sub", "Sum") or (node.op == "Sub" and 0 in places)
            if changes or len(given) > 2 or any(value.any() for value in values.values()):
                for place, value in values.items():
                    view = f"{output.name}::bias{place if len(places) > 1 else ''}"
                    node.inputs[place] = gs.Constant(view, value)
            else:
                _bypass(node, whole[0], outputs)
            return
        self._rigid.append(node)

    def _evaluated(self, node: Any) -> bool:
        """Compute what a node makes of constants alone, if that can be done."""
        source = self._nodes[node.outputs[0].name]
        names = [tensor.name for tensor in node.inputs if not tensor.is_empty()]
        made = [name for name in source.output if name]
        shapes = [self._facts.shapes.get(name) for name in (*names, *made)]
        if not is_function(source) or any(s is None or prod(s) > _LARGEST for s in shapes):
            return False
        plain = type(source)()
        plain.CopyFrom(source)
        del plain.input[:]
        plain.input.extend(tensor.name for tensor in node.inputs)
        results = self._results(plain, names)
        self._constant.update((name, _small(array)) for name, array in results.items() if name)
        return bool(results)

    def _results(self, node: Any, names: Sequence[str]) -> dict[str, Array]:
        """What a node makes of constants, by name; nothing where that cannot be told."""
        feeds = [array for name in names if (array := self._whole(name)) is not None]
        if len(feeds) < len(names):
            return {}
        results = evaluate_surely(node, feeds, self._model.opset[""])
        return dict(zip(node.output, results, strict=True)) if results else {}

    def _whole(self, name: str) -> Array | None:
        """A constant at its full size; None where it cannot be told."""
        if name in self._constant:
            return np.broadcast_to(self._constant[name], self._facts.shapes[name])
        if name in self._model.constants:
            return self._model.constants[name].numpy()
        maker = self._nodes[name]
        return self._results(maker, [read for read in maker.input if read]).get(name)

    def _written_out(self, tensor: Any) -> Any:
        """A folded value at its full size, for operators that do not broadcast."""
        if tensor.name not in self._constant:
            return tensor
        if bindings.has_dynamic_axes(self._model.proto):
            raise ModelError(
                "a branch without channels is read by an operator that does not broadcast",
                where=f"value {tensor.name}",
                hint="fix the sizes of the model's dynamic inputs, or keep a channel of the branch",
            )
        return gs.Constant(f"{tensor.name}::full", np.ascontiguousarray(self._whole(tensor.name)))


def _live(graph: Any) -> set[int]:
    """The identities of the nodes that an output of a graph depends on."""
    waiting = [node for tensor in graph.outputs for node in tensor.inputs]
    live: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) not in live:
            live.add(id(node))
            waiting += (maker for tensor in node.inputs for maker in tensor.inputs)
    return live


def _small(array: Array) -> Array:
    """An array with axes of size 1 where all indices are alike; it broadcasts to what it was."""
    exact = array.dtype.kind not in "fc" or not array.size
    slack = 0.0 if exact else _ROUNDING * float(np.finfo(array.dtype).eps * np.abs(array).max())
    for axis, size in enumerate(array.shape):
        first = array.take([0], axis) if size > 1 else array
        array = first if np.allclose(first, array, rtol=0, atol=slack) else array
    return array


def _bypass(node: Any, source: Any, outputs: set[str]) -> None:
    """Let the readers of a node read `source` instead; an output of the graph keeps its name."""
    output = node.outputs[0]
    if output.name in outputs:
        node.op, node.attrs, node.inputs = "Identity", {}, [source]
        return
    for reader in list(output.outputs):
        reader.inputs = [source if tensor is output else tensor for tensor in reader.inputs]
    node.outputs.clear()
