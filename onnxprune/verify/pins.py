"""Quantized values are pinned: the model under test goes on with those of the reference.

Where a value is rounded to one of few steps, a last bit decides now and then about a whole step;
the layers behind pass that on and add to it, until two runs of the same quantized network have
little in common. So each stretch between two roundings is compared by itself, and begins with what
the reference has there: what the other model makes of such a value is compared, and not passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy.typing as npt

from onnxprune.coupling.analysis import Analysis
from onnxprune.data.random import Feeds
from onnxprune.ir.elements import is_coarse_type
from onnxprune.ir.model import Model
from onnxprune.ir.probe import pinned, with_outputs
from onnxprune.runtime import Session

Array = npt.NDArray[Any]


def rounded_values(analysis: Analysis, names: Iterable[str]) -> list[str]:
    """Those of the values named that are quantized, or come out of rounding inside an operator."""
    types = analysis.canonical.facts.elem_types
    inside = {
        name
        for placed in analysis.placed
        if placed.operator is not None and placed.operator.rounds
        for name in placed.node.outputs
    }
    return [name for name in names if name in inside or is_coarse_type(types.get(name, 0))]


@dataclass(frozen=True, slots=True)
class Pins:
    """Values that models are fed, whatever they make of them.

    Attributes:
        made: by pinned value, the name that a model's own result gets.
        types: element type by value name.
        sets: for each set of inputs, what the reference has.
    """

    made: Mapping[str, str] = field(default_factory=dict[str, str])
    types: Mapping[str, int] = field(default_factory=dict[str, int])
    sets: Sequence[Feeds] = ()

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        types: Mapping[str, int],
        reference: Session,
        feeds: Sequence[Feeds],
    ) -> Pins:
        """Pin values of the main graph.

        Args:
            names: the values, which all models make.
            types: element type by value name.
            reference: has them as outputs.
            feeds: its inputs.
        """
        made = {name: f"{name}::made" for name in names}
        return cls(made, types, [reference.run(feed, list(made)) for feed in feeds])

    def probe(self, model: Model, names: Iterable[str]) -> Model:
        """A copy of a model that is fed the pinned values, with the given values as outputs."""
        shown = [self.made.get(name, name) for name in names]
        return with_outputs(pinned(model, self.made, self.types), shown, self.types)

    def run(self, session: Session, feeds: Feeds, place: int, names: Sequence[str]) -> Feeds:
        """Run a probe on one set of inputs.

        Args:
            session: over the probe.
            feeds: the inputs.
            place: of the set.
            names: the values wanted.
        """
        pins = self.sets[place] if self.made else {}
        shown = [self.made.get(name, name) for name in names]
        results = session.run({**feeds, **pins}, shown)
        return {name: results[other] for name, other in zip(names, shown, strict=True)}

    def changed(self, change: Callable[[str, Array], Array]) -> Pins:
        """The same values, each as ``change(name, array)`` makes it."""
        sets = [{name: change(name, array) for name, array in one.items()} for one in self.sets]
        return replace(self, sets=sets)
