"""Sizes that are read as numbers: they must not change when the tensor is pruned."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx

from onnxprune.ir import graph
from onnxprune.ir.edit import WHERE_SINCE
from onnxprune.ir.editor import Editor
from onnxprune.ir.readings import Multiples, read_sizes
from onnxprune.ir.shapes import Facts


def guard_shapes(editor: Editor, facts: Facts, others: Facts) -> None:
    """Let static sizes that are read as numbers keep what they were.

    A `Shape` that could not be folded follows the pruned tensor. Readers that look up computed
    elements only do not care; for all others the static elements are written over. Those that are
    multiples of the sizes of inputs, as (batch heads), are computed from these.

    Args:
        editor: of the model.
        facts: what is known under one binding.
        others: what is known under another; what both tell alike is static.
    """
    wanted = _elements_read(editor, facts)
    multiples = Multiples(editor.graph, facts, others)

    def guard(node: onnx.NodeProto) -> Sequence[onnx.NodeProto]:
        y = node.output[0] if node.output else ""
        if y not in wanted or editor.opset < WHERE_SINCE:
            return (node,)
        moving = _moving(y, facts, others)
        sizes = facts.values[y]
        readings = multiples.readings(y, wanted[y] & moving)
        if any(factor > 1 for _, _, factor in readings.values()):
            kept = editor.fresh(f"{y}::sizes")
            editor.add(kept, sizes)
            nodes = read_sizes(editor, y, readings, kept, sizes.size)
            nodes[-1].output[0] = y
            return nodes
        if wanted[y] <= moving:
            return (node,)
        static, kept, raw = (editor.fresh(f"{y}::{part}") for part in ("static", "sizes", "raw"))
        editor.add(static, np.array([i not in moving for i in range(sizes.size)]))
        editor.add(kept, sizes)
        node.output[0] = raw
        return node, onnx.helper.make_node("Where", [static, kept, raw], [y])

    editor.rewrite(guard)


def moving_sizes(
    editor: Editor, facts: Facts, others: Facts, known: Collection[str] = ()
) -> dict[str, list[int]]:
    """Axes whose size is read as a number and depends on the inputs, by result of `Shape`.

    Nothing can keep these sizes what they were, so the axes have to stay whole. Results
    in `known` are read for target shapes that follow the axes.
    """
    wanted = _elements_read(editor, facts)
    found: dict[str, list[int]] = {}
    for node in editor.nodes():
        y = node.output[0] if node.output else ""
        if y in wanted and y not in known:
            first = next((int(a.i) for a in node.attribute if a.name == "start"), 0)
            first += len(facts.shapes.get(node.input[0], ())) if first < 0 else 0
            found[y] = [first + i for i in sorted(wanted[y] & _moving(y, facts, others))]
    return found


def _moving(shape: str, facts: Facts, others: Facts) -> set[int]:
    """The elements of a list of sizes that differ between the bindings."""
    sizes, varied = facts.values[shape], others.values.get(shape)
    return {i for i in range(sizes.size) if varied is None or sizes[i] != varied[i]}


def _elements_read(editor: Editor, facts: Facts) -> dict[str, set[int]]:
    """The elements that something reads of each result of `Shape` that is known."""
    results = editor.results()
    read: dict[str, set[int]] = {}
    for node in editor.nodes():
        for name in graph.reads(node):
            if name in read:
                read[name] |= _looked_up(editor, node, name, facts.values[name].size)
        if node.op_type == "Shape" and not node.domain and node.output[0] in facts.values:
            y = node.output[0]
            read[y] = set(range(facts.values[y].size)) if y in results else set()
    return read


def _looked_up(editor: Editor, reader: onnx.NodeProto, name: str, size: int) -> set[int]:
    """The elements of `name` that a node reads: all, unless it looks some up by constant index."""
    if reader.op_type == "Gather" and not reader.domain and reader.input[0] == name:
        indices = editor.constants.get(reader.input[1])
        if indices is not None:
            return {int(i) % size for i in indices.numpy().reshape(-1)}
    return set(range(size))
