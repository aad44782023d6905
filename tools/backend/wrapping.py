"""A backend case in the middle of a network: layers in front of its inputs and behind its outputs.

A product with the identity matrix leaves a tensor what it is, and frees an axis: its indices are
columns of a weight then, and no longer those of a graph input. One for each axis, and all of them
are free; likewise behind outputs. So the case computes what it always does, on its own data.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from backend.cases import Case, Feeds
from backend.running import Array
from onnx import helper, numpy_helper

from onnxprune.errors import RuntimeFailureError
from onnxprune.runtime import Session

_FLOAT, _DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
_EXACT = {_FLOAT: 2**24, _DOUBLE: 2**53}
"""So far integers are what they were behind a product of this type."""
_SHRUNK = 0.75
"""Other inputs are smaller by that: numbers between -1 and 1 stay there, and keep their signs."""
_OTHERS = 3
"""So many sets of other inputs are enough."""
_LARGEST = 1024
"""No layer frees an axis of more indices: its matrix would be too large."""
_CASTS_SINCE = 6
_OPSET = 13
"""Of the standard operators, where a case has none of them."""
_FREE_INITIALIZERS_SINCE = 4
_GIVEN, _TOLD = "::given", "::told"
"""Ends of the names of the network's inputs and outputs."""


@dataclass(slots=True)
class Wrapped:
    """A case in the middle of a network.

    Attributes:
        model: the network.
        sets: its inputs: the case's own, and others like them.
        names: the values of the case that layers stand around; their axes may be free.
    """

    model: onnx.ModelProto
    sets: list[Feeds]
    names: list[str] = field(default_factory=list[str])

    def own_name(self, name: str) -> str:
        """What the case calls an output."""
        return name.removesuffix(_TOLD)


def wrap(case: Case, session: Session, held: bool) -> Wrapped | None:
    """Puts a case into a network; None if no layer can stand around any input of it.

    Args:
        case: the case.
        session: over its model.
        held: whether all tensors but the first that a layer can stand in front of are constants.

    Raises:
        RuntimeFailureError: the model does not run.
    """
    feeds = case.sets[0][0]
    outputs = session.run(feeds)
    maker = _Maker(case.model)
    fed = [name for name, value in feeds.items() if maker.carries(value)]
    if held:
        fed = fed[:1] if len(feeds) > 1 else []
    if not fed:
        return None
    constant = [n for n, x in feeds.items() if held and n not in fed and isinstance(x, np.ndarray)]
    for name in constant:
        maker.hold(name, feeds[name])
    for name in fed:
        maker.lead_in(name, feeds[name])
    told = [info.name for info in case.model.graph.output]
    led = [name for name in told if maker.carries(outputs.get(name))]
    for name in led:
        maker.lead_out(name, outputs[name])
    given = {name: value for name, value in feeds.items() if name not in constant}
    rest = {name: feeds[name] for name in constant}
    sets = [given, *_others(given, fed, rest, session, outputs)]
    renamed = [{maker.port(name): value for name, value in each.items()} for each in sets]
    return Wrapped(maker.finish(), renamed, [*fed, *led])


def _others(
    feeds: Feeds, fed: Sequence[str], rest: Feeds, session: Session, outputs: Mapping[str, Array]
) -> list[Feeds]:
    """Inputs that differ from the case's own and give outputs of the same shapes.

    The same numbers at other places are as good as they were for most operators.
    """
    others: list[Feeds] = []
    for other in _candidates(feeds, fed):
        try:
            found = session.run({**other, **rest})
        except RuntimeFailureError:
            continue
        if all(_is_like(found.get(name), array) for name, array in outputs.items()):
            others.append(other)
        if len(others) == _OTHERS:
            break
    return others or [feeds]


def _candidates(feeds: Feeds, fed: Sequence[str]) -> Iterator[Feeds]:
    """The most different ones first, each smaller than what it was or in another order."""
    rng = np.random.default_rng(0)
    floats = [name for name in fed if is_float(feeds[name])]
    for names in (fed, floats, *([name] for name in fed)):
        for shrunk in (floats, ()) * 2:
            moved = {name: _shuffled(feeds[name], rng) for name in names}
            yield {**feeds, **moved, **{n: _smaller(moved[n]) for n in moved if n in shrunk}}
    yield {**feeds, **{name: _smaller(feeds[name]) for name in floats}}


def _shuffled(array: Array, rng: np.random.Generator) -> Array:
    return rng.permutation(array.reshape(-1)).reshape(array.shape)


def _smaller(array: Array) -> Array:
    return (array * _SHRUNK).astype(array.dtype)


def _is_like(found: Array | None, array: Array) -> bool:
    if found is None or found.shape != array.shape:
        return False
    return not is_float(array) or bool((np.isfinite(found) | ~np.isfinite(array)).all())


def is_float(array: Array) -> bool:
    """Whether an array holds floating-point numbers, of narrow types too."""
    return "float" in array.dtype.name


class _Maker:
    """Writes layers around the graph of a case."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self._graph = self._model.graph
        versions = {entry.domain: entry.version for entry in model.opset_import}
        self._opset = versions.get("", versions.get("ai.onnx", 0))
        if not self._opset:
            self._opset = _OPSET
            self._model.opset_import.append(helper.make_opsetid("", _OPSET))
        self._before: list[onnx.NodeProto] = []
        self._behind: list[onnx.NodeProto] = []
        self._ports: dict[str, str] = {}
        self._identities: dict[tuple[int, int], str] = {}

    def carries(self, value: object) -> bool:
        """Whether a value can go through a product unchanged, and has an axis to free."""
        if not isinstance(value, np.ndarray) or value.dtype.kind in "OSUc":
            return False
        if not value.size or not any(1 < size <= _LARGEST for size in value.shape):
            return False
        wide = _wide(value)
        if helper.np_dtype_to_tensor_dtype(value.dtype) != wide and self._opset < _CASTS_SINCE:
            return False
        if not is_float(value):
            return bool((np.abs(value.astype(np.float64)) <= _EXACT[wide]).all())
        return bool(np.isfinite(value.astype(np.float64)).all())

    def hold(self, name: str, value: Array) -> None:
        """Makes an input a constant."""
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        if self._model.ir_version >= _FREE_INITIALIZERS_SINCE:
            self._drop_input(name)

    def lead_in(self, name: str, value: Array) -> None:
        """Puts layers in front of an input."""
        port = self._ports[name] = f"{name}{_GIVEN}"
        self._drop_input(name)
        elem_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        self._graph.input.append(helper.make_tensor_value_info(port, elem_type, value.shape))
        self._before += self._layers(port, name, value)

    def lead_out(self, name: str, value: Array) -> None:
        """Puts layers behind an output."""
        port = f"{name}{_TOLD}"
        info = next(info for info in self._graph.output if info.name == name)
        elem_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        info.CopyFrom(helper.make_tensor_value_info(port, elem_type, value.shape))
        self._behind += self._layers(name, port, value)

    def port(self, name: str) -> str:
        """What an input is called now."""
        return self._ports.get(name, name)

    def finish(self) -> onnx.ModelProto:
        """The network."""
        nodes = [*self._before, *self._graph.node, *self._behind]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        if self._model.ir_version < _FREE_INITIALIZERS_SINCE:
            listed = {info.name for info in self._graph.input}
            self._graph.input.extend(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
                for tensor in self._graph.initializer
                if tensor.name not in listed
            )
        return self._model

    def _drop_input(self, name: str) -> None:
        place = next(i for i, info in enumerate(self._graph.input) if info.name == name)
        del self._graph.input[place]

    def _layers(self, source: str, target: str, value: Array) -> list[onnx.NodeProto]:
        """Products with identity matrices along every axis of a tensor."""
        wide, own = _wide(value), helper.np_dtype_to_tensor_dtype(value.dtype)
        nodes: list[onnx.NodeProto] = []

        def add(op_type: str, *inputs: str, **attributes: object) -> str:
            name = f"{source}::{target}::{len(nodes)}"
            nodes.append(helper.make_node(op_type, inputs, [name], **attributes))
            return name

        x = source if own == wide else add("Cast", source, to=wide)
        last = value.ndim - 1
        for axis, size in enumerate(value.shape):
            if not 1 < size <= _LARGEST:
                continue
            order = list(range(value.ndim))
            order[axis], order[last] = last, axis
            x = x if axis == last else add("Transpose", x, perm=order)
            x = add("MatMul", x, self._identity(size, wide, f"{target}::{axis}"))
            x = x if axis == last else add("Transpose", x, perm=order)
        if own != wide:
            add("Cast", x, to=own)
        nodes[-1].output[0] = target
        return nodes

    def _identity(self, size: int, elem_type: int, name: str) -> str:
        matrix = np.eye(size, dtype=helper.tensor_dtype_to_np_dtype(elem_type))
        self._graph.initializer.append(numpy_helper.from_array(matrix, f"{name}::weight"))
        return f"{name}::weight"


def _wide(value: Array) -> int:
    """The type in which products of a tensor are exact."""
    return _DOUBLE if value.dtype.itemsize > 2 and value.dtype != np.float32 else _FLOAT
