"""Types and shapes that onnx's inference cannot tell, told by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
import onnx

from onnxprune.errors import ModelError, ProviderUnavailableError, RuntimeFailureError
from onnxprune.ir.bindings import bind, graph_inputs
from onnxprune.ir.elements import TYPE_NAMES, dtype_of
from onnxprune.ir.model import Model
from onnxprune.ir.shapes import Shape, Told
from onnxprune.runtime import Port, Session

_NUMBERS = {f"tensor({name.lower()})": number for number, name in TYPE_NAMES.items()}
"""Element types as ONNX Runtime spells them."""
_UNTOLD = (ModelError, ProviderUnavailableError, RuntimeFailureError)
"""What it means that ONNX Runtime cannot tell; another error is a fault."""


def told_types(model: Model, inputs: Mapping[str, Shape], names: Iterable[str]) -> dict[str, Told]:
    """Load a model to learn the types of some values, and run it if loading does not tell shapes.

    ONNX Runtime knows the operators of its own that onnx does not. Of shapes that a run shows only
    those are given that are equal for different inputs: what depends on the data stays unknown.
    Nothing is given where ONNX Runtime cannot run the model.

    Args:
        model: the model.
        inputs: concrete shapes of its inputs.
        names: the values asked for.
    """
    probe = model.copy()
    bind(probe.proto, inputs)
    del probe.proto.graph.output[:]
    del probe.proto.graph.value_info[:]
    for name in sorted(names):
        probe.proto.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    try:
        session = Session(probe.to_bytes(), optimization="none", quiet=True)
        ports = {port.name: port for port in session.outputs if port.dtype in _NUMBERS}
        told = {name: Told(_NUMBERS[p.dtype], _static(p)) for name, p in ports.items()}
        wanted = [name for name, known in told.items() if known.shape is None]
        if not wanted:
            return told
        runs = [session.run(simple_feeds(model, inputs, seed), wanted) for seed in range(4)]
    except _UNTOLD:
        return {}
    for name in wanted:
        shape, *others = {run[name].shape for run in runs}
        known = not others and all(shape)  # what is empty for such simple inputs need not be so
        told[name] = Told(told[name].elem_type, shape if known else None)
    return told


def tell_node(
    node: onnx.NodeProto,
    types: Mapping[str, onnx.TypeProto],
    values: Mapping[str, onnx.TensorProto],
    version: int,
    ir_version: int,
) -> dict[str, Told]:
    """What ONNX Runtime tells of a single node's results; see `shapes.Teller`.

    It follows from types and constants alone, and holds for any data.
    """
    probe = _alone(node, types, values, version, ir_version)
    question = probe.SerializeToString(deterministic=True)
    answers = zip(node.output, _answer(question, len(node.output)), strict=True)
    return {name: told for name, told in answers if name and told is not None}


def _alone(
    node: onnx.NodeProto,
    types: Mapping[str, onnx.TypeProto],
    values: Mapping[str, onnx.TensorProto],
    version: int,
    ir_version: int,
) -> onnx.ModelProto:
    """A model of one node, whose values are called by their numbers."""
    single = onnx.NodeProto()
    single.CopyFrom(node)
    single.name = single.doc_string = ""
    names = {name: f"x{place}" for place, name in enumerate(dict.fromkeys(node.input)) if name}
    single.input[:] = [names.get(name, "") for name in node.input]
    single.output[:] = [f"y{place}" if name else "" for place, name in enumerate(node.output)]
    given = [onnx.ValueInfoProto(name=names[n], type=types[n]) for n in names if n not in values]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in single.output if name]
    graph = onnx.helper.make_graph([single], "probe", given, outputs)
    for name, place in names.items():
        if name in values:
            graph.initializer.add().CopyFrom(values[name])
            graph.initializer[-1].name = place
    imports = [onnx.helper.make_opsetid(node.domain, version)]
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


@lru_cache(maxsize=1024)
def _answer(question: bytes, count: int) -> list[Told | None]:
    """What ONNX Runtime says of the results of a model of one node; equal ones are asked once."""
    told: list[Told | None] = [None] * count
    try:
        session = Session(question, optimization="none", quiet=True)
    except _UNTOLD:
        return told
    for port in session.outputs:
        shape = _static(port)
        if port.dtype in _NUMBERS and shape is not None:
            told[int(port.name.removeprefix("y"))] = Told(_NUMBERS[port.dtype], shape)
    return told


def _static(port: Port) -> Shape | None:
    """The shape of a value, if all its sizes are numbers; without any axis, nobody may know it."""
    sizes = [size for size in port.shape if isinstance(size, int) and size > 0]
    return tuple(sizes) if sizes and len(sizes) == len(port.shape) else None


def simple_feeds(model: Model, inputs: Mapping[str, Shape], seed: int) -> dict[str, np.ndarray]:
    """Zeros and ones for integers and truth values, normal numbers for the rest."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, np.ndarray] = {}
    for info in graph_inputs(model.proto):
        shape = inputs.get(info.name, ())
        dtype = dtype_of(info.type.tensor_type.elem_type)
        drawn = rng.random(shape) < 0.5 if dtype.kind in "biu" else rng.standard_normal(shape)
        feeds[info.name] = np.asarray(drawn).astype(dtype)
    return feeds
