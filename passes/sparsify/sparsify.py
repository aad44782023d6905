"""Sparsify: single weights become zero, or N:M patterns of them; no shape changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from onnxprune.coupling.analysis import ignored
from onnxprune.data.batches import Batch
from onnxprune.data.spool import Spool, spooled
from onnxprune.errors import UsageError, unknown
from onnxprune.ops.affine import Linear
from onnxprune.passes.repair.gather import Seen
from onnxprune.passes.repair.least_squares import Array
from onnxprune.passes.repair.numbers import Numbers
from onnxprune.passes.repair.repair import fit_layer
from onnxprune.passes.repair.rounds import deviations, fitted_in_turn
from onnxprune.passes.repair.targets import Target, are_alike, find_targets
from onnxprune.passes.schedule import check_schedule, left_after
from onnxprune.passes.sparsify.amount import Amount, ranked
from onnxprune.passes.sparsify.fitting import fit_sparse
from onnxprune.passes.sparsify.layers import Layer, find_layers
from onnxprune.passes.sparsify.methods import METHODS, Method, relative_scores
from onnxprune.passes.sparsify.pattern import Pattern
from onnxprune.passes.work import PassReport, Refusal, Removal, Sparsified, Work
from onnxprune.progress import track

SCOPES = ("uniform", "global")
"""The same share of every layer, or all weights ranked together."""
_FORMS = "--sparsity 0.7, --pattern 2:4 or --zero-below 0.01"


@dataclass(frozen=True, kw_only=True)
class Sparsify:
    """Make weights zero that matter least; with data the others make up for them.

    Attributes:
        sparsity: share of the weights that are zero in the end, in [0, 1).
        pattern: ``N:M``: of each M weights in a row N stay; the row runs along the channels that
            a layer sums over.
        below: weights of a magnitude less than this become zero.
        scope: ``uniform`` (the same share of every layer) or ``global`` (all weights ranked
            together).
        method: ``magnitude``, ``wanda`` or ``sparsegpt``; ``auto`` is the last one where there is
            data, else the first.
        repair: whether what is left is fitted to the original where there is data; `sparsegpt`
            does nothing else.
        ignore: glob patterns; the weights that matching nodes read stay as they are.
        schedule: how the share grows over steps, one of `SCHEDULES`.
        way: how much of the way lies behind after this step.
        seed: of the choice of places to look at.
    """

    name: ClassVar[str] = "sparsify"

    sparsity: float | None = None
    pattern: str = ""
    below: float | None = None
    scope: Literal["uniform", "global"] = "uniform"
    method: Literal["auto", "magnitude", "wanda", "sparsegpt"] = "auto"
    repair: bool = True
    ignore: tuple[str, ...] = ()
    schedule: str = "linear"
    way: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            UsageError: a value makes no sense.
        """
        given = (self.sparsity is not None, bool(self.pattern), self.below is not None)
        if sum(given) != 1:
            raise UsageError(
                "it must be said once how many weights become zero", hint=f"give {_FORMS}"
            )
        if self.sparsity is not None and not 0 <= self.sparsity < 1:
            raise UsageError(
                f"the share of weights to make zero is {self.sparsity}",
                why="it must be at least 0 and less than 1",
                hint="0.7 makes 70 % of the weights zero",
            )
        if self.below is not None and not (0 < self.below < float("inf")):
            raise UsageError(f"the magnitude is {self.below}", hint="give a number above 0")
        if self.pattern:
            Pattern.parse(self.pattern)
        if self.scope not in SCOPES:
            raise unknown("scope for sparsity", self.scope, SCOPES)
        if self.scope == "global" and self.sparsity is None:
            raise UsageError("a global scope is for --sparsity; patterns and bounds have no amount")
        if self.method not in ("auto", *METHODS):
            raise unknown("method", self.method, METHODS)
        if self.below is not None and self.method not in ("auto", "magnitude"):
            raise UsageError(f"{self.method} knows no magnitude", hint="leave the method out")
        check_schedule(self.schedule, self.way)

    def run(self, work: Work) -> PassReport:
        """Replace the model by one with zeros."""
        method = self._method(work)
        analysis, groups = work.study()
        numbers = Numbers(analysis, analysis.canonical.model)
        layers, refused = find_layers(analysis, self.ignore)
        if self.pattern:
            layers, unfit = _fitting(layers, Pattern.parse(self.pattern), numbers)
            refused += unfit
        work.take_out(analysis, groups, [], {})
        removal = work.removals[-1]
        removal.pruned = numbers.model
        report = PassReport(self.name, refused=refused)
        if not layers:
            report.did.append("found no weight that may become zero")
            return report
        needs_data = method != "magnitude" or (self.repair and work.data is not None)
        if needs_data and work.data is not None:
            with spooled(track(work.data, "reading data")) as batches:
                found = self._with_data(work.removals, numbers, layers, method, batches)
        else:
            found = self._by_magnitude(numbers, layers, self._amounts(numbers, layers, None))
        found = replace(_counted(found, numbers, layers), method=method)
        work.model, removal.sparsified = found.model, found
        report.modified = True
        report.did += _told(found)
        return report

    def _method(self, work: Work) -> Method:
        if self.method == "auto":
            return "sparsegpt" if work.data is not None and self.below is None else "magnitude"
        if self.method != "magnitude" and work.data is None:
            raise UsageError(
                f"{self.method} looks at what layers read",
                why="there is no data",
                hint="give --data or --calibration, or take magnitude",
            )
        return self.method

    def _level(self) -> float:
        """The share of weights that is zero after this step."""
        share = self.sparsity or 0.0
        return share if self.way == 1 else 1 - left_after(self.schedule, 1 - share, self.way)

    def _amounts(
        self, numbers: Numbers, layers: Sequence[Layer], scores: Mapping[str, Array] | None
    ) -> dict[str, Amount]:
        """How many zeros each weight gets.

        Args:
            numbers: the weights.
            layers: those that may get some.
            scores: what they are ranked by over all layers; None for their magnitude.
        """
        if self.below is not None:
            below = self.below * (1 - left_after(self.schedule, 0.0, self.way))
            return {layer.weight: Amount(below=below) for layer in layers}
        if self.pattern:
            pattern = Pattern.parse(self.pattern).after(self.schedule, self.way)
            return {
                layer.weight: Amount(pattern=pattern, channels=layer.channels[0])
                for layer in layers
            }
        if self.scope == "uniform":
            level = self._level()
            return {layer.weight: Amount(round(level * layer.size)) for layer in layers}
        known = scores or {layer.weight: np.abs(numbers[layer.weight]) for layer in layers}
        return ranked(known, self._level())

    def _by_magnitude(
        self, numbers: Numbers, layers: Iterable[Layer], amounts: Mapping[str, Amount]
    ) -> Sparsified:
        """Zeros where weights are smallest; the others stay as they are."""
        fresh = {x.weight: _cut(numbers[x.weight], x, amounts[x.weight]) for x in layers}
        model = numbers.model.copy()
        model.set_constants(stored := numbers.stored(fresh))
        return Sparsified(model, frozenset(stored))

    def _with_data(
        self,
        removals: Sequence[Removal],
        numbers: Numbers,
        layers: Sequence[Layer],
        method: Method,
        data: Spool[Batch],
    ) -> Sparsified:
        """Zeros that data has a say in, layer after layer."""
        named = {layer.weight: layer for layer in layers}
        targets = self._targets(removals, numbers)
        linear = [t for t in targets if t.weight in named and isinstance(t.form, Linear)]
        scores = self._scores(removals, numbers, linear, layers, method, data)
        amounts = self._amounts(numbers, layers, scores)
        seen = {target.weight for target in linear}
        rest = [layer for layer in layers if layer.weight not in seen]
        base = self._by_magnitude(numbers, rest, amounts)
        now = replace(numbers, model=base.model)

        def fit(target: Target, moments: Seen, numbers: Numbers) -> dict[str, Array]:
            if target.weight not in seen:
                return fit_layer(target, moments, numbers)
            return fit_sparse(target, moments, numbers, method, amounts[target.weight], self.repair)

        adapts = self.repair or method == "sparsegpt"
        chosen = targets if adapts else linear
        fresh = fitted_in_turn(
            removals, now, chosen, data, fit, self.seed, "sparsifying", at_once=not adapts
        )
        left = [layer for layer in linear if numbers.holder(layer.weight) not in fresh.names]
        unseen = [named[target.weight] for target in left]  # no input of theirs was finite
        done = self._by_magnitude(replace(numbers, model=fresh.model), unseen, amounts)
        (deviation,), samples = deviations(removals, (done.model,), data)
        names = fresh.names | base.names | done.names
        return Sparsified(done.model, names, deviation=deviation, samples=samples)

    def _targets(self, removals: Sequence[Removal], numbers: Numbers) -> list[Target]:
        """What can be fitted, without what is ignored."""
        nodes = [placed.node for placed in removals[-1].analysis.placed]
        skipped = ignored(nodes, [*self.ignore])
        return [
            target
            for target in find_targets(removals, numbers, everything=True)
            if not any((use.y.name,) in skipped for use in target.uses)
        ]

    def _scores(
        self,
        removals: Sequence[Removal],
        numbers: Numbers,
        targets: Sequence[Target],
        layers: Iterable[Layer],
        method: Method,
        data: Spool[Batch],
    ) -> dict[str, Array] | None:
        """What weights are worth beside those of other layers; None where magnitude tells."""
        if self.scope == "uniform" or method == "magnitude":
            return None
        found: dict[str, Array] = {}

        def note(target: Target, moments: Seen, numbers: Numbers) -> dict[str, Array]:
            assert isinstance(target.form, Linear)
            matrix = target.form.matrix(numbers[target.weight].astype(np.float64))
            found[target.weight] = relative_scores(matrix, moments.fit + moments.held)
            return {}

        fitted_in_turn(
            removals, numbers, targets, data, note, self.seed, "ranking weights", at_once=True
        )
        worth = float(np.mean([np.mean(scores) for scores in found.values()])) if found else 1.0
        for layer in layers:
            if layer.weight not in found:
                size = np.abs(numbers[layer.weight].astype(np.float32))
                found[layer.weight] = size * (worth / max(float(size.mean()), 1e-30))
        return found


def _fitting(
    layers: Iterable[Layer], pattern: Pattern, numbers: Numbers
) -> tuple[list[Layer], list[Refusal]]:
    """The layers that a pattern is possible in, and why it is not in others."""
    fit: list[Layer] = []
    refused: list[Refusal] = []
    for layer in layers:
        forms = [form for form in layer.forms if form is not None]
        reason = ""
        if len(forms) < len(layer.forms):
            reason = f"a pattern {pattern} is for matrix products and convolutions"
        elif len({*layer.channels}) > 1 or not are_alike(forms, numbers.shape(layer.weight)):
            reason = f"what reads it needs the pattern {pattern} along different axes"
        elif not layer.channels[0] or layer.channels[0] % pattern.of:
            reason = f"the channels that it sums over are no multiple of {pattern.of}"
        if reason:
            refused.append(Refusal(reason, "", layer.size))
        else:
            fit.append(layer)
    return fit, refused


def _cut(weight: Array, layer: Layer, amount: Amount) -> Array:
    """A weight with zeros where it is smallest."""
    form = layer.forms[0]
    if form is None or (amount.pattern is None and amount.below is None):
        gone = amount.mask(np.abs(weight))
    else:
        mask = amount.mask(np.abs(form.matrix(weight.astype(np.float64))))
        gone = form.restored(mask.astype(np.float64), weight.shape) != 0
    return np.where(gone, np.zeros_like(weight), weight)


def _counted(found: Sparsified, numbers: Numbers, layers: Sequence[Layer]) -> Sparsified:
    """The same with its zeros counted."""
    now = replace(numbers, model=found.model)
    zeros = sum(int(np.count_nonzero(now[layer.weight] == 0)) for layer in layers)
    total = sum(layer.size for layer in layers)
    return replace(found, zeros=zeros, total=total, layers=len(layers))


def _told(found: Sparsified) -> list[str]:
    share = found.zeros / max(found.total, 1)
    told = f"{share:.1%} of {found.total} weights in {found.layers} layers are zero"
    return [f"{told}, by {found.method}"]
