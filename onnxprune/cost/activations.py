"""Memory of activations: the most that is held at once when nodes run in file order.

A value lives from the node that makes it to the last one that reads it; inputs live from the
start, outputs to the end. What is computed from constants alone does not count, runtimes fold it.
It is a property of the graph: a runtime may do better by working in place, or worse by padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from onnxprune.axes import Keeps, kept_size
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.elements import dtype_of

_SHARPNESS = 16
"""Order of the norm that stands in for the maximum where a slope is asked for."""


class Activations:
    """When the values of a model live, and how large they are."""

    def __init__(self, analysis: Analysis) -> None:
        """Lay out the life of every value."""
        first: dict[str, int] = dict.fromkeys(analysis.canonical.inputs, 0)
        last: dict[str, int] = {}
        for place, placed in enumerate(analysis.placed):
            for name in placed.node.outputs:
                first.setdefault(name, place)
            ends = (name for body in placed.node.bodies for name in body.outputs)
            last.update(dict.fromkeys((*placed.node.inputs, *ends), place))
        self._end = len(analysis.placed)
        for info in analysis.canonical.model.proto.graph.output:
            last[info.name] = self._end
        facts = analysis.canonical.facts
        self._values = {
            name: analysis.values[name]
            for name in first
            if name in analysis.values and not analysis.values[name].constant
        }
        self._item = {n: dtype_of(facts.elem_types[n]).itemsize for n in self._values}
        self._first = np.array([first[n] for n in self._values], dtype=np.int64)
        self._last = np.array([last.get(n, first[n]) for n in self._values], dtype=np.int64)

    def __iter__(self) -> Iterator[str]:
        """Names of all activations."""
        return iter(self._values)

    def __contains__(self, name: object) -> bool:
        """Whether a value is an activation."""
        return name in self._values

    def nbytes(self, name: str, keeps: Keeps) -> float:
        """Bytes of one activation, with `keeps` applied."""
        size = float(self._item[name])
        for dim in self._values[name].dims:
            size *= kept_size(dim, keeps)
        return size

    def peak(self, held: Mapping[str, float]) -> tuple[float, float]:
        """The most bytes held at once, and a smooth number that follows it.

        The second is a norm of high order over time: it falls with any of several equal peaks,
        where the maximum stays until the last of them is gone.

        Args:
            held: bytes of every activation.
        """
        sizes = np.array([held[name] for name in self._values])
        steps = np.zeros(self._end + 2)
        np.add.at(steps, self._first, sizes)
        np.add.at(steps, self._last + 1, -sizes)
        total = np.maximum(np.cumsum(steps), 0.0)
        most = float(total.max(initial=0.0))
        if not most:
            return 0.0, 0.0
        return most, most * float(np.sum((total / most) ** _SHARPNESS) ** (1 / _SHARPNESS))
