"""The canonical form: the model as the analysis wants to see it.

Local functions are inlined; `Constant` nodes become initializers; what follows from shapes and
small constants alone is folded wherever it is static, so that the algebra sees sizes where the
exporter wrote shape arithmetic; `Squeeze` says its axes; nodes that nothing needs are gone; and
constants that the exporter merged because they happened to be equal get one view for each use.

Nothing in it depends on the values of weights, and every constant knows the original that it
comes from. The canonical form computes what the original computes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner

from onnxprune.errors import ModelError
from onnxprune.ir import bindings, graph
from onnxprune.ir.measure import measured_shapes
from onnxprune.ir.model import Model, fill_stub
from onnxprune.ir.shapes import Facts, Shape, constant_of, interpret
from onnxprune.ir.targets import PLACES, RULES, reshape_target
from onnxprune.ir.tensors import ArrayTensor, InlineTensor, Tensor

_WHERE_SINCE = 9
"""First opset with the operator that fills in computed sizes."""


@dataclass(slots=True, eq=False)
class Canonical:
    """A model in canonical form, with what is known of it.

    Attributes:
        model: the model.
        facts: shapes and values under the first binding.
        inputs: the first binding.
        provenance: original constant by canonical initializer; what folding made has none.
        blind: values whose shape nothing tells.
        partial: for a target shape of which some sizes are computed at run time, the constant that
            holds the others (-1 stands for what is computed).
        second: shapes and values under another binding of the dynamic axes, if there are any.
    """

    model: Model
    facts: Facts
    inputs: dict[str, Shape]
    provenance: dict[str, str] = field(default_factory=dict[str, str])
    blind: frozenset[str] = frozenset()
    partial: dict[str, str] = field(default_factory=dict[str, str])
    second: Facts | None = None


def canonicalise(original: Model, fixed: Mapping[str, Shape] | None = None) -> Canonical:
    """Bring a model into canonical form.

    Args:
        original: the model; it is left as it is.
        fixed: shapes of inputs that the user gave, by name.

    Raises:
        ModelError: local functions cannot be inlined.
        UsageError: `fixed` does not fit the model.
    """
    model = original.copy()
    if model.proto.functions:
        model.proto = _inlined(model.proto)
    editor = _Editor(model)
    editor.lift_constants()
    editor.skip_identities()
    inputs = bindings.input_shapes(model.proto, fixed)
    facts = interpret(model.proto, inputs)
    second = bindings.input_shapes(model.proto, None, variant=1)
    others = interpret(model.proto, second) if second != inputs else facts
    editor.fold(facts, others)
    editor.guard_shapes(facts, others)
    editor.name_views(facts, others)
    editor.state_implicit(facts)
    editor.drop_dead()
    editor.split_shared()
    editor.finish()
    facts, blind = _all_facts(model, inputs)
    result = Canonical(model, facts, inputs, editor.provenance, blind, editor.partial)
    if second != inputs:
        result.second, _ = _all_facts(model, second)
    return result


def _all_facts(model: Model, inputs: Mapping[str, Shape]) -> tuple[Facts, frozenset[str]]:
    """Facts under one binding, by inference and where that stops by a run; and what is left."""
    facts = interpret(model.proto, inputs)
    blind = _without_shape(model, facts)
    if blind:
        facts = interpret(model.proto, inputs, measured_shapes(model, inputs, blind))
        blind = _without_shape(model, facts)
    return facts, blind


def _without_shape(model: Model, facts: Facts) -> frozenset[str]:
    made = (name for node in model.proto.graph.node for name in node.output if name)
    return frozenset(name for name in made if name not in facts.shapes)


def _inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.inliner.inline_local_functions(proto)
    except RuntimeError as error:
        raise ModelError(
            "the model's local functions cannot be inlined", why=str(error).splitlines()[0]
        ) from error


class _Editor:
    """Edits of one model, with the constants kept aside until `finish`."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._graph = model.proto.graph
        self._constants: dict[str, Tensor] = dict(model.constants)
        self._never_read = model.constants.keys() - graph.uses(self._graph).keys()
        self.provenance = {name: name for name in model.constants}
        self.partial: dict[str, str] = {}

    def lift_constants(self) -> None:
        """Turn Constant nodes into initializers of the same name."""
        kept: list[onnx.NodeProto] = []
        outputs = {info.name for info in self._graph.output}
        for node in self._graph.node:
            array = constant_of(node) if node.op_type == "Constant" and not node.domain else None
            if array is None or node.output[0] in outputs:
                kept.append(node)
                continue
            name = node.output[0]
            tensor = node.attribute[0].t if node.attribute[0].name == "value" else None
            self._constants[name] = (
                ArrayTensor.of(array) if tensor is None else InlineTensor(tensor)
            )
            self.provenance[name] = name
            stub = self._graph.initializer.add()
            fill_stub(stub, self._constants[name], name)
        graph.replace_nodes(self._graph, kept)

    def skip_identities(self) -> None:
        """Let the readers of an Identity over a constant read the constant."""
        alias: dict[str, str] = {}
        outputs = {info.name for info in self._graph.output}
        for node in self._graph.node:
            if node.op_type == "Identity" and not node.domain and node.output[0] not in outputs:
                source = alias.get(node.input[0], node.input[0])
                if source in self._constants:
                    alias[node.output[0]] = source
            self._rename_inputs(node, alias)

    def fold(self, facts: Facts, others: Facts) -> None:
        """Replace what is static and known by constants; leave the rest computed."""
        outputs = {info.name for info in self._graph.output}
        captured = {
            name for n in self._graph.node for b in graph.subgraphs(n) for name in graph.captured(b)
        }
        static = {
            name
            for name, value in facts.values.items()
            if name in others.values and np.array_equal(value, others.values[name], equal_nan=True)
        }
        made = {
            name
            for node in self._graph.node
            for name in node.output
            if name in static and name not in outputs
        }
        kept = [n for n in self._graph.node if not all(o in made for o in n.output if o)]
        wanted = {name for node in kept for name in node.input} | captured
        for name in sorted(made & wanted):
            self._add(name, facts.values[name])
        nodes: list[onnx.NodeProto] = []
        for node in kept:
            if node.op_type in PLACES and not node.domain:
                nodes.extend(self._state_target(node, facts, others))
            nodes.append(node)
        graph.set_nodes(self._graph, nodes)

    def _state_target(
        self, node: onnx.NodeProto, facts: Facts, others: Facts
    ) -> list[onnx.NodeProto]:
        """Write the static sizes of a computed target shape as a constant.

        Returns:
            Nodes to put before `node`: none if the constant says it all, else one that fills in
            what is computed.
        """
        place = PLACES[node.op_type]
        if len(node.input) <= place or not node.input[place]:
            return []
        computed = node.input[place]
        x, y = node.input[0], node.output[0]
        names = (x, y, computed)
        if computed in self._constants or any(
            n not in f.shapes for f in (facts, others) for n in names
        ):
            return []
        shapes = tuple(f.shapes[n] for n in (x, y) for f in (facts, others))
        rank = len(shapes[2])
        if len(shapes[3]) != rank or facts.shapes[computed] != (rank,) or 0 in shapes[2]:
            return []
        target = RULES[node.op_type](*shapes)
        done = target.count(-1) <= (node.op_type == "Reshape")
        static = any(s == s2 and s > 1 for s, s2 in zip(*shapes[2:], strict=True))
        if not done and (not static or self._model.opset.get("", 1) < _WHERE_SINCE):
            return []
        for attribute in list(node.attribute):
            if attribute.name == "allowzero":
                node.attribute.remove(attribute)
        sizes, filled = f"{y}::shape", f"{y}::target"
        self._add(sizes, np.array(target, dtype=np.int64))
        node.input[place] = sizes if done else filled
        if done:
            return []
        self._add(f"{y}::static", np.array(target) != -1)
        self.partial[filled] = sizes
        return [onnx.helper.make_node("Where", [f"{y}::static", sizes, computed], [filled])]

    def name_views(self, facts: Facts, others: Facts) -> None:
        """Turn a Gather of all elements in order into the Reshape that it is.

        Exporters write strided views that way.
        """
        for node in self._graph.node:
            if node.op_type != "Gather" or node.domain or node.input[1] not in facts.values:
                continue
            x, y = node.input[0], node.output[0]
            if not all(_takes_all_in_order(f, x, node.input[1]) for f in (facts, others)):
                continue
            shapes = [f.shapes[name] for name in (x, y) for f in (facts, others)]
            target = reshape_target(*shapes)
            if target.count(-1) <= 1 and 0 not in shapes[2]:
                self._add(f"{y}::shape", np.array(target, dtype=np.int64))
                del node.attribute[:]
                node.op_type = "Reshape"
                node.input[1] = f"{y}::shape"

    def guard_shapes(self, facts: Facts, others: Facts) -> None:
        """Let sizes that are read as values keep what they were.

        A `Shape` that could not be folded follows the pruned tensor. Readers that look up computed
        elements only do not care; for all others the static elements are written over.
        """
        outputs = {info.name for info in self._graph.output}
        readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self._graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            nodes.append(node)
            y = node.output[0] if node.output else ""
            if node.op_type != "Shape" or node.domain or y not in facts.values:
                continue
            first, second = facts.values[y], others.values.get(y)
            static = first == second if second is not None else np.zeros(first.shape, np.bool_)
            seen = y in outputs or not all(
                self._looks_up(reader, y, static) for reader in readers.get(y, [])
            )
            if not static.any() or not seen or self._model.opset.get("", 1) < _WHERE_SINCE:
                continue
            self._add(f"{y}::static", np.asarray(static))
            self._add(f"{y}::sizes", first)
            raw = f"{y}::raw"
            node.output[0] = raw
            nodes.append(onnx.helper.make_node("Where", [f"{y}::static", f"{y}::sizes", raw], [y]))
        graph.set_nodes(self._graph, nodes)

    def _looks_up(self, reader: onnx.NodeProto, name: str, static: npt.NDArray[np.bool_]) -> bool:
        """Whether a node reads no static element of the shape `name`."""
        if reader.op_type != "Gather" or reader.domain or reader.input[0] != name:
            return False
        indices = self._constants.get(reader.input[1])
        return indices is not None and not static[indices.numpy()].any()

    def state_implicit(self, facts: Facts) -> None:
        """Say which axes Squeeze drops and how long the pieces of Split are.

        Left unsaid, both follow from sizes, and sizes change by pruning.
        """
        for node in self._graph.node:
            if node.domain or any(name and name not in facts.shapes for name in node.output):
                continue
            if node.op_type == "Squeeze" and node.input[0] in facts.shapes:
                shape = facts.shapes[node.input[0]]
                self._state(node, "axes", [i for i, size in enumerate(shape) if size == 1])
            elif node.op_type == "Split" and all(node.output):
                axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
                self._state(node, "split", [facts.shapes[name][axis] for name in node.output])

    def _state(self, node: onnx.NodeProto, what: str, values: list[int]) -> None:
        if any(a.name == what for a in node.attribute) or (len(node.input) > 1 and node.input[1]):
            return
        if self._model.opset.get("", 1) < 13:
            node.attribute.append(onnx.helper.make_attribute(what, values))
            return
        for attribute in list(node.attribute):
            if attribute.name == "num_outputs":
                node.attribute.remove(attribute)
        name = f"{node.output[0]}::{what}"
        self._add(name, np.array(values, dtype=np.int64))
        del node.input[1:]
        node.input.append(name)

    def drop_dead(self) -> None:
        """Remove nodes that no output needs, and the constants that only they read."""
        graph.replace_nodes(self._graph, graph.live_nodes(self._graph))

    def split_shared(self) -> None:
        """Give every use of a vector, a scalar or a constant-filled tensor a view of its own."""
        count = graph.uses(self._graph)
        inputs = {info.name for info in self._graph.input}
        shared = {
            name
            for name, tensor in self._constants.items()
            if count[name] > 1 and name not in inputs and _is_coincidental(tensor)
        }
        seen: Counter[str] = Counter()
        for node in self._graph.node:
            for place, name in enumerate(node.input):
                if name not in shared:
                    continue
                seen[name] += 1
                if seen[name] > 1:
                    view = f"{name}::{seen[name]}"
                    self._constants[view] = self._constants[name]
                    if name in self.provenance:
                        self.provenance[view] = self.provenance[name]
                    node.input[place] = view

    def finish(self) -> None:
        """Write the constants that are still read back into the model."""
        count = graph.uses(self._graph)
        inputs = {info.name for info in self._graph.input}
        self._model.constants = {
            name: tensor
            for name, tensor in self._constants.items()
            if count[name] or name in inputs or name in self._never_read
        }
        self.provenance = {
            name: source
            for name, source in self.provenance.items()
            if name in self._model.constants
        }
        stubs = {stub.name: stub for stub in self._graph.initializer}
        fresh: list[onnx.TensorProto] = []
        for name, tensor in self._model.constants.items():
            stub = onnx.TensorProto()
            if name in stubs:
                stub.CopyFrom(stubs[name])
            else:
                fill_stub(stub, tensor, name)
            fresh.append(stub)
        del self._graph.initializer[:]
        self._graph.initializer.extend(fresh)
        live = {name for node in self._graph.node for name in node.output}
        infos = [info for info in self._graph.value_info if info.name in live]
        del self._graph.value_info[:]
        self._graph.value_info.extend(infos)

    def _add(self, name: str, array: np.ndarray) -> None:
        self._constants[name] = ArrayTensor.of(np.ascontiguousarray(array).reshape(array.shape))

    @staticmethod
    def _rename_inputs(node: onnx.NodeProto, alias: Mapping[str, str]) -> None:
        for place, name in enumerate(node.input):
            if name in alias:
                node.input[place] = alias[name]


def _takes_all_in_order(facts: Facts, x: str, indices: str) -> bool:
    shape, taken = facts.shapes.get(x, ()), facts.values.get(indices)
    if len(shape) != 1 or taken is None or taken.size != shape[0]:
        return False
    return bool((taken.reshape(-1) == np.arange(taken.size)).all())


def _is_coincidental(tensor: Tensor) -> bool:
    """Whether sharing of a constant is an exporter's economy and not a tied weight."""
    if sum(size > 1 for size in tensor.shape) <= 1:
        return True
    array = tensor.numpy()
    return bool((array == array.reshape(-1)[0]).all())
