"""Structural edits on the way to the canonical form; none of them needs to know a shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxprune.ir import graph
from onnxprune.ir.bodies import has_bodies, separate, take_initializers
from onnxprune.ir.edit import with_constants
from onnxprune.ir.model import Model
from onnxprune.ir.shapes import constant_of
from onnxprune.ir.sparse import dense, take_sparse
from onnxprune.ir.tensors import ArrayTensor, InlineTensor, Tensor

_GENERATED = re.compile(r"(.*)_token_\d+$")
"""What ONNX Runtime makes of a name that is taken, when it adds an initializer."""
_FUSED = frozenset(("gemm_input_shape", "gemm_output_shape"))
"""Names that it adds, as long as they are free."""


class Editor:
    """Edits of one model, bodies included, with the constants kept aside until `finish`.

    Attributes:
        graph: the main graph.
        constants: the model's constants by name.
        provenance: original constant by canonical initializer; what folding made has none.
        opset: version of the standard operators.
    """

    def __init__(self, model: Model) -> None:
        """Start from `model`, which is changed."""
        self.graph = model.proto.graph
        self.constants: dict[str, Tensor] = dict(model.constants)
        self.provenance = {name: name for name in model.constants}
        self.opset = model.opset.get("", 1)
        self._model = model
        self._names: set[str] | None = None
        self._never_read = model.constants.keys() - graph.uses(self.graph).keys()

    def nodes(self) -> Iterator[onnx.NodeProto]:
        """Every node, bodies included, each behind what it reads."""
        return (node for node, _ in graph.all_nodes(self.graph))

    def results(self) -> set[str]:
        """Outputs of the main graph and of every body: they cannot be constants."""
        return {info.name for part in graph.all_graphs(self.graph) for info in part.output}

    def rewrite(self, change: Callable[[onnx.NodeProto], Sequence[onnx.NodeProto]]) -> None:
        """Put what `change` makes of each node in its place."""
        for part in list(graph.all_graphs(self.graph)):
            made = [(node, change(node)) for node in part.node]
            if any(len(new) != 1 or new[0] is not old for old, new in made):
                graph.set_nodes(part, (node for _, new in made for node in new))

    def fresh(self, name: str) -> str:
        """A name for something new: `name` if nothing is called that, else one like it.

        A model may have been in canonical form before, and have such names already.
        """
        if self._names is None:
            self._names = {info.name for info in (*self.graph.input, *self.graph.output)}
            self._names.update(self.constants)
            for node in self.nodes():
                self._names.update((*node.input, *node.output))
        name = graph.fresh_name(name, self._names)
        self._names.add(name)
        return name

    def add(self, name: str, array: npt.NDArray[Any]) -> None:
        """Add a constant."""
        self.constants[name] = ArrayTensor.of(np.ascontiguousarray(array).reshape(array.shape))

    def open_bodies(self) -> None:
        """Separate the names in bodies, and bring their initializers to the main graph."""
        if has_bodies(self.graph):
            separate(self.graph)
            taken = take_initializers(self.graph)
            self._lift({tensor.name: InlineTensor(tensor) for tensor in taken})

    def lift_sparse(self) -> None:
        """Write sparse initializers out, so that they are constants like others."""
        self._lift(dict(take_sparse(self.graph)))

    def lift_constants(self) -> None:
        """Turn Constant nodes into initializers of the same name."""
        results = self.results()
        lifted: dict[str, Tensor] = {}

        def lift(node: onnx.NodeProto) -> Sequence[onnx.NodeProto]:
            is_constant = node.op_type == "Constant" and not node.domain
            tensor = _held_by(node) if is_constant else None
            name = node.output[0] if node.output else ""
            if tensor is None or name in results:
                return (node,)
            lifted[name] = tensor
            return ()

        self.rewrite(lift)
        self._lift(lifted)

    def _lift(self, tensors: Mapping[str, Tensor]) -> None:
        """Make tensors constants of the model, which may have to run before all is done."""
        self.constants |= tensors
        self.provenance |= {name: name for name in tensors}
        self._model.set_constants(tensors)

    def skip_identities(self) -> None:
        """Let the readers of an Identity over a constant read the constant."""
        alias: dict[str, str] = {}
        results = self.results()
        for node in self.nodes():
            if node.op_type == "Identity" and not node.domain and node.output[0] not in results:
                source = alias.get(node.input[0], node.input[0])
                if source in self.constants:
                    alias[node.output[0]] = source
            for place, name in enumerate(node.input):
                if name in alias:
                    node.input[place] = alias[name]

    def drop_dead(self) -> None:
        """Remove nodes that no output needs, and the constants that only they read."""
        for part in list(graph.all_graphs(self.graph)):
            graph.replace_nodes(part, graph.live_nodes(part))

    def split_shared(self) -> None:
        """Give every use of a vector, a scalar or a constant-filled tensor a view of its own."""
        count = graph.uses(self.graph)
        inputs = {info.name for info in self.graph.input}
        shared = {
            name
            for name, tensor in self.constants.items()
            if count[name] > 1 and name not in inputs and _is_coincidental(tensor)
        }
        seen: Counter[str] = Counter()
        for node in self.nodes():
            for place, name in enumerate(node.input):
                if name not in shared:
                    continue
                seen[name] += 1
                if seen[name] > 1:
                    view = self.fresh(f"{name}::{seen[name]}")
                    self.constants[view] = self.constants[name]
                    if name in self.provenance:
                        self.provenance[view] = self.provenance[name]
                    node.input[place] = view

    def free_names(self) -> None:
        """Rename constants that have a name of ONNX Runtime's making.

        Its optimiser would make such a name once more, where pruning gives it something to fuse,
        and then refuse the file (ONNX Runtime 1.31, "Attempt to replace the existing tensor").
        """
        kept = {info.name for info in self.graph.input} | self._never_read
        generated = {match[1] for name in self.constants if (match := _GENERATED.match(name))}
        names = {
            name: self.fresh(f"{name}::own")
            for name in self.constants
            if name not in kept and (_GENERATED.match(name) or name in generated | _FUSED)
        }
        graph.rename(self.graph, names)
        self.constants = {names.get(n, n): tensor for n, tensor in self.constants.items()}
        self.provenance = {names.get(n, n): source for n, source in self.provenance.items()}

    def finish(self) -> None:
        """Write the constants that are still read back into the model."""
        count = graph.uses(self.graph)
        inputs = {info.name for info in self.graph.input}
        with_constants(
            self._model,
            {
                name: tensor
                for name, tensor in self.constants.items()
                if count[name] or name in inputs or name in self._never_read
            },
        )
        self.provenance = {
            name: source
            for name, source in self.provenance.items()
            if name in self._model.constants
        }
        for part in graph.all_graphs(self.graph):
            graph.keep_infos(part, {name for node in part.node for name in node.output})


def _held_by(node: onnx.NodeProto) -> Tensor | None:
    """What a Constant node gives; None for strings in a list, and for what is too large."""
    attribute = node.attribute[0]
    if attribute.name == "value":
        return InlineTensor(attribute.t)
    if attribute.name == "sparse_value":
        return dense(attribute.sparse_tensor)
    array = constant_of(node)
    return None if array is None else ArrayTensor.of(array)


def _is_coincidental(tensor: Tensor) -> bool:
    """Whether sharing of a constant is an exporter's economy and not a tied weight."""
    if not tensor.size or sum(size > 1 for size in tensor.shape) <= 1:
        return True
    array = tensor.numpy()
    return bool((array == array.reshape(-1)[0]).all())
