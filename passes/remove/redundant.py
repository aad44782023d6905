"""Lossless: channels go without which the model computes the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.errors import InternalError
from onnxprune.ir.edit import Bias, with_biases
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor
from onnxprune.ops.affine import linear_form
from onnxprune.passes.select.alignment import RoundTo
from onnxprune.passes.select.redundant import Redundant, find_redundant
from onnxprune.passes.work import PassReport, Work

ROUNDS = 8
"""What goes may leave others without readers; so often is that looked for."""


@dataclass(frozen=True, kw_only=True)
class RemoveRedundant:
    """Remove channels that are provably without effect.

    Those that nothing reads or that are constant for all inputs, which biases take over; and
    multiples of others, whose weights take over.

    Attributes:
        ignore: glob patterns; what matching nodes read and make stays.
        allow_io: axes of graph inputs and outputs that may be pruned; see `analyse`.
        round_to: widths become multiples of it, so that some redundant channels stay; ``auto``
            takes what the hardware likes.
    """

    name: ClassVar[str] = "remove-redundant"

    ignore: tuple[str, ...] = ()
    allow_io: tuple[str, ...] = ()
    round_to: RoundTo = 1

    def run(self, work: Work) -> PassReport:
        """Replace the model by one that computes the same with fewer channels."""
        report = PassReport(self.name)
        counts: Counter[str] = Counter()
        for _ in range(ROUNDS):
            found = self._round(work)
            counts += found.counts
            if not found.keeps:
                break
        if counts:
            reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items()) if n)
            report.modified = True
            report.did.append(f"removed {sum(counts.values())} channels without effect: {reasons}")
        return report

    def _round(self, work: Work) -> Redundant:
        """Remove what is redundant in the model as it is now."""
        analysis, groups = work.study(self.ignore, self.allow_io)
        start = perf_counter()
        found = find_redundant(analysis, groups, self.round_to)
        work.note_time("analyse", start)
        if not found.keeps:
            if not work.removals:
                work.take_out(analysis, groups, [], {})
            return found
        work.model, names = _changed(analysis, found)
        again, same = work.study(self.ignore, self.allow_io)
        if [group.name for group in same] != [group.name for group in groups]:
            raise InternalError("other biases made other coupling groups")
        keeps: dict[Dim, Keep] = {same[i].leaf: keep for i, keep in found.keeps.items()}
        chosen = [same[index] for index in found.keeps]
        work.take_out(again, same, chosen, keeps, changed=names)
        return found


def _changed(analysis: Analysis, found: Redundant) -> tuple[Model, frozenset[str]]:
    """The model with new weights and biases, and the names of those that are not what they were."""
    model = analysis.canonical.model.copy()
    tensors = model.constants
    model.set_constants(
        {
            name: ArrayTensor(array.astype(tensors[name].dtype), tensors[name].elem_type)
            for name, array in found.weights.items()
        }
    )
    added: dict[int, Bias] = {}
    for place, array in found.biases.items():
        placed = analysis.placed[place]
        form = linear_form(placed.site, {})
        if form is None:
            raise InternalError("a layer is no layer any more", where=placed.node.name)
        dtype = tensors[placed.node.inputs[form.weight]].dtype
        added[place] = Bias((array / form.bias_scale).astype(dtype), form.bias, form.axis)
    model, biases = with_biases(model, added, {n: v.shape for n, v in analysis.values.items()})
    return model, frozenset(found.weights) | biases
