"""Sizes that are read where a tensor has them, in place of numbers that a model computes.

All of it goes by the sizes under two bindings of the dynamic axes: what has both in common is the
same size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx

from onnxprune.ir.editor import Editor
from onnxprune.ir.shapes import Facts
from onnxprune.ir.targets import COMPUTED

Axis = tuple[str, int]
"""Name of a tensor, and one of its axes."""

Reading = tuple[str, int, int]
"""An axis and a factor: the size is that many times the size of the axis."""

Sizes = tuple[int, int]
"""The sizes of an axis under the two bindings."""


class Axes:
    """The dynamic axes of the tensors that a graph has made so far, by their sizes."""

    def __init__(self, part: onnx.GraphProto, facts: Facts, others: Facts) -> None:
        """The inputs of `part` are there; nothing is made yet."""
        self._facts = (facts, others)
        self._given = {pair for info in part.input for pair in _pairs(info.name, *self._facts)}
        self._latest: dict[Sizes, Axis] = {}

    def add(self, node: onnx.NodeProto) -> None:
        """The results of `node` are there now."""
        for name in node.output:
            for axis, pair in enumerate(_pairs(name, *self._facts)):
                if pair[0] != pair[1] and pair not in self._given:
                    self._latest[pair] = (name, axis)

    def of_sizes(self, x: str, y: str, target: Sequence[int]) -> dict[int, Axis]:
        """For computed elements of the target shape of `y` an axis of their size, of `x` if it can.

        That of another tensor only where no input of the graph has the size: nothing prunes these.
        """
        axes = dict(self._latest)
        for axis, pair in reversed([*enumerate(_pairs(x, *self._facts))]):
            axes[pair] = (x, axis)
        pairs = _pairs(y, *self._facts)
        wanted = [place for place, size in enumerate(target) if size == COMPUTED]
        return {place: axes[pairs[place]] for place in wanted if pairs[place] in axes}


class Multiples:
    """The dynamic axes of the model's inputs, to tell which sizes are multiples of theirs."""

    def __init__(self, graph: onnx.GraphProto, facts: Facts, others: Facts) -> None:
        """Take the inputs of `graph`."""
        self._facts = (facts, others)
        self._axes: dict[Sizes, Axis] = {}
        for info in graph.input:
            for axis, pair in enumerate(_pairs(info.name, *self._facts)):
                if pair[0] != pair[1] and min(pair) > 0:
                    self._axes.setdefault(pair, (info.name, axis))

    def readings(self, sizes: str, places: Collection[int]) -> dict[int, Reading]:
        """What to read for elements of a list of sizes; nothing unless all are multiples."""
        lists = [facts.values[sizes] for facts in self._facts if sizes in facts.values]
        found = {
            place: reading
            for place in (places if len(lists) == len(self._facts) else ())
            if (reading := self._reading(int(lists[0][place]), int(lists[1][place]))) is not None
        }
        return found if len(found) == len(places) else {}

    def _reading(self, size: int, size2: int) -> Reading | None:
        for pair, axis in self._axes.items():
            factor = size // pair[0]
            if (factor * pair[0], factor * pair[1]) == (size, size2):
                return (*axis, factor)
        return None


def read_sizes(
    editor: Editor, name: str, readings: Mapping[int, Reading], rest: str, count: int
) -> list[onnx.NodeProto]:
    """Nodes that make a list of sizes.

    Args:
        editor: of the model that the nodes are for.
        name: what new values are called.
        readings: what to read, by place in the list.
        rest: the list that holds the other places.
        count: the length of both.

    Returns:
        The nodes; the result of the last one is the list. None if there is nothing to read.
    """
    nodes: list[onnx.NodeProto] = []

    def node(op_type: str, *inputs: str) -> str:
        result = editor.fresh(f"{name}::{op_type}")
        nodes.append(onnx.helper.make_node(op_type, inputs, [result]))
        return result

    def constant(what: str, values: Sequence[int | bool]) -> str:
        result = editor.fresh(f"{name}::{what}")
        editor.add(result, np.array(values))
        return result

    for x in sorted({x for x, _, _ in readings.values()}):
        mine = {place: reading[1:] for place, reading in readings.items() if reading[0] == x}
        axes, factors = zip(*(mine.get(place, (0, 1)) for place in range(count)), strict=True)
        read = node("Gather", node("Shape", x), constant("axes", axes))
        if set(factors) != {1}:
            read = node("Mul", read, constant("factors", factors))
        marks = [place in mine for place in range(count)]
        rest = node("Where", constant("marks", marks), read, rest)
    return nodes


def _pairs(name: str, facts: Facts, others: Facts) -> list[Sizes]:
    """The sizes of each axis of a value, if they are known."""
    shape, shape2 = facts.shapes.get(name, ()), others.shapes.get(name, ())
    return list(zip(shape, shape2, strict=True)) if len(shape) == len(shape2) else []
