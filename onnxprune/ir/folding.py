"""Shape arithmetic: what is static becomes a constant, what is computed says what of it is static.

Every edit looks at the shapes and values under two bindings of the dynamic input sizes (`Facts`);
what both tell alike is static.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import onnx

from onnxprune.ir import graph
from onnxprune.ir.edit import WHERE_SINCE
from onnxprune.ir.editor import Editor
from onnxprune.ir.readings import Axes, Axis, read_sizes
from onnxprune.ir.shapes import Facts
from onnxprune.ir.targets import COMPUTED, INFERRED, PLACES, RULES, reshape_target

_SMALL = 64
"""Elements of a tensor that costs nothing; lists of sizes are shorter."""


class Folding:
    """Edits of a model whose shapes are known.

    Attributes:
        partial: for a target shape of which some sizes are computed at run time, the constant that
            holds the others (`COMPUTED` stands for these).
        listed: for such a target, the axes whose sizes are read for its computed elements.
        sizes: the values that come to be by reading and filling in.
    """

    def __init__(self, editor: Editor, facts: Facts, others: Facts) -> None:
        """Work on `editor`'s model, of which `facts` and `others` are known."""
        self._editor = editor
        self._facts = facts
        self._others = others
        self.partial: dict[str, str] = {}
        self.listed: dict[str, dict[int, Axis]] = {}
        self.sizes: set[str] = set()

    def fold(self, static: Collection[str]) -> None:
        """Replace values that are known and static by constants.

        A tensor filled with one number stays what it is, the shorter form of it.
        """
        results = self._editor.results()
        made = {
            name
            for node in self._editor.nodes()
            for name in node.output
            if name in static and name not in results and not self._is_filling(node)
        }
        self._editor.rewrite(
            lambda node: () if all(o in made for o in node.output if o) else (node,)
        )
        for name in sorted(made & graph.uses(self._editor.graph).keys()):
            self._editor.add(name, self._facts.values[name])

    def _is_filling(self, node: onnx.NodeProto) -> bool:
        size = math.prod(self._facts.shapes.get(node.output[0], ()))
        return node.op_type == "ConstantOfShape" and not node.domain and size > _SMALL

    def state_targets(self) -> None:
        """Write the static sizes of computed target shapes as constants.

        The others are read where a tensor has an axis of that size: a number that the model
        computed from a count of channels, as (batch heads), would not follow what is pruned.
        """
        for part in list(graph.all_graphs(self._editor.graph)):
            axes = Axes(part, self._facts, self._others)
            made: list[onnx.NodeProto] = []
            for node in part.node:
                if node.op_type in PLACES and not node.domain:
                    made += self._state_target(node, axes)
                made.append(node)
                axes.add(node)
            if len(made) > len(part.node):
                graph.set_nodes(part, made)

    def _state_target(self, node: onnx.NodeProto, axes: Axes) -> Sequence[onnx.NodeProto]:
        """State one target; `axes` are those of the tensors that are there before.

        Returns:
            Nodes to put before `node`: none if the constant says it all, else one that fills in
            what is computed.
        """
        facts, others = self._facts, self._others
        place = PLACES[node.op_type]
        if len(node.input) <= place or not node.input[place]:
            return ()
        computed = node.input[place]
        x, y = node.input[0], node.output[0]
        names = (x, y, computed)
        if computed in self._editor.constants or any(
            n not in f.shapes for f in (facts, others) for n in names
        ):
            return ()
        shapes = tuple(f.shapes[n] for n in (x, y) for f in (facts, others))
        rank = len(shapes[2])
        if len(shapes[3]) != rank or facts.shapes[computed] != (rank,):
            return ()
        if 0 in shapes[2] and node.op_type == "Reshape":  # there a 0 copies a size
            return ()
        target = RULES[node.op_type](*shapes)
        listed = axes.of_sizes(x if node.op_type == "Reshape" else "", y, target)
        if target.count(COMPUTED) > len(listed) and self._infers(computed):
            target = [COMPUTED if size == INFERRED else size for size in target]
        done = COMPUTED not in target
        static = any(size == size2 > 1 for size, size2 in zip(*shapes[2:], strict=True))
        worth = static or listed or INFERRED in target
        if not done and (not worth or self._editor.opset < WHERE_SINCE):
            return ()
        for attribute in list(node.attribute):
            if attribute.name == "allowzero":
                node.attribute.remove(attribute)
        sizes, filled = self._added(f"{y}::shape", target), self._editor.fresh(f"{y}::target")
        node.input[place] = sizes if done else filled
        if done:
            return ()
        readings = {place: (*axis, 1) for place, axis in listed.items()}
        nodes = read_sizes(self._editor, f"{y}::sizes", readings, computed, rank)
        computed = nodes[-1].output[0] if nodes else computed
        marks = self._editor.fresh(f"{y}::static")
        self._editor.add(marks, np.array(target) != COMPUTED)
        self.partial[filled] = sizes
        self.listed[filled] = listed
        nodes.append(onnx.helper.make_node("Where", [marks, sizes, computed], [filled]))
        self.sizes.update(name for added in nodes for name in added.output)
        return nodes

    def _infers(self, target: str) -> bool:
        """Whether a computed target lets Reshape infer a size."""
        values = self._facts.values.get(target)
        return values is not None and bool((values == INFERRED).any())

    def _added(self, name: str, values: Sequence[int]) -> str:
        """The name of a new constant, a list of integers."""
        fresh = self._editor.fresh(name)
        self._editor.add(fresh, np.array(values, dtype=np.int64))
        return fresh

    def name_views(self) -> None:
        """Turn a Gather of all elements in order into the Reshape that it is.

        Exporters write strided views that way.
        """
        facts, others = self._facts, self._others
        for node in self._editor.nodes():
            if node.op_type != "Gather" or node.domain or node.input[1] not in facts.values:
                continue
            x, y = node.input[0], node.output[0]
            if not all(_takes_all_in_order(f, x, node.input[1]) for f in (facts, others)):
                continue
            shapes = [f.shapes[name] for name in (x, y) for f in (facts, others)]
            target = reshape_target(*shapes)
            if COMPUTED not in target and 0 not in shapes[2]:
                del node.attribute[:]
                node.op_type = "Reshape"
                node.input[1] = self._added(f"{y}::shape", target)

    def state_implicit(self) -> None:
        """Say which axes Squeeze drops and how long the pieces of Split are.

        Left unsaid, both follow from sizes, and sizes change by pruning.
        """
        shapes = self._facts.shapes
        known = shapes.keys() & self._others.shapes.keys()
        for node in self._editor.nodes():
            if node.domain or any(name and name not in known for name in node.output):
                continue
            if node.op_type == "Squeeze" and node.input[0] in shapes:
                shape = shapes[node.input[0]]
                self._state(node, "axes", [i for i, size in enumerate(shape) if size == 1])
            elif node.op_type == "Split" and all(node.output):
                axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
                self._state(node, "split", [shapes[name][axis] for name in node.output])

    def make_scalars(self) -> None:
        """Give Range scalars where it reads constants of one element with an axis.

        ONNX Runtime takes such lists as long as they are computed, and refuses them as constants.
        """
        for node in self._editor.nodes():
            for place, name in enumerate(node.input if node.op_type == "Range" else ()):
                tensor = self._editor.constants.get(name)
                if tensor is not None and tensor.shape and tensor.size == 1:
                    node.input[place] = self._editor.fresh(f"{name}::scalar")
                    self._editor.add(node.input[place], tensor.numpy().reshape(()))

    def _state(self, node: onnx.NodeProto, what: str, values: list[int]) -> None:
        if any(a.name == what for a in node.attribute) or (len(node.input) > 1 and node.input[1]):
            return
        if self._editor.opset < 13:
            node.attribute.append(onnx.helper.make_attribute(what, values))
            return
        for attribute in list(node.attribute):
            if attribute.name == "num_outputs":
                node.attribute.remove(attribute)
        del node.input[1:]
        node.input.append(self._added(f"{node.output[0]}::{what}", values))


def _takes_all_in_order(facts: Facts, x: str, indices: str) -> bool:
    shape, taken = facts.shapes.get(x, ()), facts.values.get(indices)
    if len(shape) != 1 or taken is None or taken.size != shape[0]:
        return False
    return bool((taken.reshape(-1) == np.arange(taken.size)).all())
