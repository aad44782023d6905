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
from onnxprune.ir.editor import Editor
from onnxprune.ir.shapes import Facts
from onnxprune.ir.targets import COMPUTED, INFERRED, PLACES, RULES, axes_of_input, reshape_target

_WHERE_SINCE = 9
"""First opset with the operator that fills in computed sizes."""

_SMALL = 64
"""Elements of a tensor that costs nothing; lists of sizes are shorter."""


class Folding:
    """Edits of a model whose shapes are known.

    Attributes:
        partial: for a target shape of which some sizes are computed at run time, the constant that
            holds the others (`COMPUTED` stands for these).
    """

    def __init__(self, editor: Editor, facts: Facts, others: Facts) -> None:
        """Work on `editor`'s model, of which `facts` and `others` are known."""
        self._editor = editor
        self._facts = facts
        self._others = others
        self.partial: dict[str, str] = {}

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
        """Write the static sizes of computed target shapes as constants."""
        self._editor.rewrite(
            lambda node: (
                (*self._state_target(node), node)
                if node.op_type in PLACES and not node.domain
                else (node,)
            )
        )

    def _state_target(self, node: onnx.NodeProto) -> Sequence[onnx.NodeProto]:
        """State one target.

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
        nodes: list[onnx.NodeProto] = []
        axes = axes_of_input(target, *shapes) if node.op_type == "Reshape" else None
        if axes is not None:
            computed = self._read_sizes(x, y, axes, nodes)
        elif COMPUTED in target and self._infers(computed):
            target = [COMPUTED if size == INFERRED else size for size in target]
        done = COMPUTED not in target
        static = any(size == size2 > 1 for size, size2 in zip(*shapes[2:], strict=True))
        if not done and (not (static or INFERRED in target) or self._editor.opset < _WHERE_SINCE):
            return ()
        for attribute in list(node.attribute):
            if attribute.name == "allowzero":
                node.attribute.remove(attribute)
        sizes, filled = self._added(f"{y}::shape", target), self._editor.fresh(f"{y}::target")
        node.input[place] = sizes if done else filled
        if done:
            return ()
        marks = self._editor.fresh(f"{y}::static")
        self._editor.add(marks, np.array(target) != COMPUTED)
        self.partial[filled] = sizes
        fill = onnx.helper.make_node("Where", [marks, sizes, computed], [filled])
        return (*nodes, fill)

    def _infers(self, target: str) -> bool:
        """Whether a computed target lets Reshape infer a size."""
        values = self._facts.values.get(target)
        return values is not None and bool((values == INFERRED).any())

    def _read_sizes(self, x: str, y: str, axes: Sequence[int], nodes: list[onnx.NodeProto]) -> str:
        """Add the nodes that read the sizes of these axes of `x`, to shape `y`."""
        everything, name = (self._editor.fresh(f"{y}::sizes{part}") for part in ("::all", ""))
        places = self._added(f"{y}::axes", axes)
        nodes.append(onnx.helper.make_node("Shape", [x], [everything]))
        nodes.append(onnx.helper.make_node("Gather", [everything, places], [name], axis=0))
        return name

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
