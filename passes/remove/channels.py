"""Remove channels: analyse, score, select, slice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import ClassVar

from onnxprune.axes import Dim, Keep, kept_size
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.blocks import Block, find_blocks
from onnxprune.coupling.groups import (
    DEFAULT_KINDS,
    KINDS,
    Group,
    block_reasons,
    choose,
)
from onnxprune.errors import UsageError, unknown
from onnxprune.passes.schedule import check_schedule
from onnxprune.passes.score.combining import NORMALIZATIONS, REDUCTIONS
from onnxprune.passes.score.criteria import CRITERIA, is_absolute
from onnxprune.passes.score.scoring import Scoring
from onnxprune.passes.select.alignment import RoundTo
from onnxprune.passes.select.blocks import BlockChoice, measured_losses, shared_losses
from onnxprune.passes.select.budget import Budget, budgeted
from onnxprune.passes.select.goals import Goals, of_the_rest
from onnxprune.passes.select.latency import Machine, measured_latency
from onnxprune.passes.select.patterns import minima_of, ratios_of
from onnxprune.passes.select.selection import Selection
from onnxprune.passes.select.selectors import SELECTORS
from onnxprune.passes.select.targets import Target
from onnxprune.passes.select.threshold import thresholded
from onnxprune.passes.stand_in import given_or_random
from onnxprune.passes.work import PassReport, Refusal, Work

AUTO = "auto"
"""The criterion that suits what is asked for and what is there."""


@dataclass(frozen=True, kw_only=True)
class RemoveChannels:
    """Remove a fraction of the channels of every coupling group, or of all of them together.

    Attributes:
        ratio: fraction to remove, in [0, 1).
        scope: ``uniform`` (of every group), ``global`` (all channels ranked together) or
            ``isomorphic`` (channels of groups with the same structure ranked together), or another
            one of `SELECTORS`.
        criterion: what says how much a channel matters, one of `CRITERIA`; ``auto`` is ``obs`` for
            a target with data, else ``l2``.
        reduction: how what it says of a group's weights becomes one, one of `REDUCTIONS`.
        normalization: what makes groups comparable, one of `NORMALIZATIONS`.
        round_to: widths become multiples of it; ``auto`` takes what hardware likes.
        kinds: kinds of groups that are pruned.
        ignore: glob patterns over node names, operator types and value names; what a matching node
            reads or makes stays as it is.
        allow_io: axes of graph inputs and outputs that may be pruned, as ``NAME:AXIS``; the name
            may be a glob pattern.
        minimum: fewest channels kept of a group.
        threshold: remove what scores less, whatever the ratio; None where the ratio counts.
        ratios: fractions of some groups, as ``PATTERN=RATIO``; see `ratios_of`.
        minima: fewest channels kept of some groups, as ``PATTERN=N``.
        targets: what the model may cost at most, such as ``macs=0.5`` or ``size=5MB`` (see
            `Target`); then `ratio` and `scope` mean nothing.
        blocks: whether residual blocks may go whole, too, to meet the targets.
        way: how much of the way lies behind after this step; the rest is for later ones, which ask
            for the same (`select/goals.py`).
        schedule: how widths shrink on the way, one of `SCHEDULES`.
        provider: execution provider that a target latency is measured on.
        threads: with how many threads; 0 for all cores.
        seed: for criteria that draw random numbers, and of inputs to measure with.
    """

    name: ClassVar[str] = "remove-channels"

    ratio: float = 0.3
    scope: str = "uniform"
    criterion: str = AUTO
    reduction: str = "mean"
    normalization: str = "mean"
    round_to: RoundTo = "auto"
    kinds: tuple[str, ...] = DEFAULT_KINDS
    ignore: tuple[str, ...] = ()
    allow_io: tuple[str, ...] = ()
    minimum: int = 1
    threshold: float | None = None
    ratios: tuple[str, ...] = ()
    minima: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    blocks: bool = False
    way: float = 1.0
    schedule: str = "linear"
    provider: str = "cpu"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            UsageError: a value makes no sense.
        """
        if not 0 <= self.ratio < 1:
            raise UsageError(
                f"the ratio of channels to remove is {self.ratio}",
                why="it must be at least 0 and less than 1",
                hint="0.3 removes 30 % of the channels",
            )
        SELECTORS.check(self.scope)
        if self.criterion != AUTO:
            CRITERIA.check(self.criterion)
        _one_of("reduction", self.reduction, REDUCTIONS)
        _one_of("normalization", self.normalization, NORMALIZATIONS)
        for kind in self.kinds:
            _one_of("kind", kind, KINDS)
        if self.round_to != "auto" and (not isinstance(self.round_to, int) or self.round_to < 1):
            raise UsageError(f"round_to is {self.round_to!r}", hint="give a number from 1, or auto")
        check_schedule(self.schedule, self.way)
        if self.minimum < 1:
            raise UsageError(f"minimum is {self.minimum}", why="a group keeps one channel at least")
        quantities = [Target.parse(target).quantity for target in self.targets]
        for quantity in quantities:
            if quantities.count(quantity) > 1:
                raise UsageError(f"two targets for {quantity}", hint="give the smaller one")
        if self.blocks and not self.targets:
            raise UsageError(
                "blocks go with channels where there is a budget",
                hint="give a target, or say how many go: remove-blocks{count=2}",
            )
        if self.targets and self.threshold is not None:
            raise UsageError("a threshold and a budget exclude each other")

    def run(self, work: Work) -> PassReport:
        """Replace the model by one with fewer channels."""
        analysis, groups = work.study(self.ignore, self.allow_io)
        start = perf_counter()
        chosen = choose(groups, self.kinds, None if self.targets else self.ratio)
        blocks = find_blocks(analysis, groups) if self.blocks else []
        selection = self._selection(analysis, chosen, work, blocks)
        keeps = self._towards(selection, work)
        work.note_time("remove", start)
        report = PassReport(self.name, bool(keeps), refused=refusals(analysis, groups, chosen))
        report.curves = selection.curves
        gone = tuple(b.name for b in blocks if all(not kept_size(g.leaf, keeps) for g in b.groups))
        work.take_out(analysis, groups, chosen, keeps, blocks=gone)
        if keeps:
            report.did.append(f"{summary(chosen, keeps)}, by {self._criterion(work)}")
        return report

    def _criterion(self, work: Work) -> str:
        """The name of the criterion: which one keeps most, `tools/accuracy_report` measures."""
        if self.criterion != AUTO:
            return self.criterion
        return "obs" if self.targets and work.data is not None else "l2"

    def select(self, analysis: Analysis, chosen: list[Group], work: Work) -> dict[Dim, Keep]:
        """Decide what stays of each group, in one step.

        Args:
            analysis: the model.
            chosen: the groups.
            work: has the data.
        """
        return self._decided(self._selection(analysis, chosen, work, ()), work)

    def _selection(
        self, analysis: Analysis, chosen: list[Group], work: Work, blocks: Sequence[Block]
    ) -> Selection:
        """What is to be decided, with the scores."""
        how = (self.reduction, self.normalization, self.seed)
        criterion = CRITERIA[self._criterion(work)]
        scores = criterion(Scoring(analysis, chosen, *how, work.data))
        fixed = ratios_of(chosen, self.ratios)
        least = dict.fromkeys(chosen, self.minimum) | minima_of(chosen, self.minima)
        selection = Selection(analysis, scores, self.ratio, self.round_to, least, fixed)
        free = [block for block in blocks if fixed.keys().isdisjoint(block.groups)]
        losses = self._losses(analysis, free, work)
        return replace(selection, absolute=is_absolute(criterion), blocks=losses)

    def _towards(self, selection: Selection, work: Work) -> dict[Dim, Keep]:
        """What stays after this step."""
        inside = (group for block in selection.blocks for group in block.groups)
        groups = list(dict.fromkeys((*selection.scores, *inside)))
        goals = work.goals
        if goals is None or not goals.fit(groups):
            since = goals.reached if goals else 0.0
            keeps = self._decided(self._from(selection, since), work)
            if self.way == 1:
                work.goals = None
                return keeps
            goals = Goals.of(groups, keeps, since)
        work.goals = replace(goals, reached=self.way) if self.way < 1 else None
        return selection.keep_counts(goals.counts(groups, self.way, self.schedule))

    def _from(self, selection: Selection, way: float) -> Selection:
        """The same, where some of the way lies behind: ratios are those of what is left."""
        fixed = {
            group: of_the_rest(ratio, way, self.schedule)
            for group, ratio in selection.fixed.items()
        }
        ratio = of_the_rest(selection.ratio, way, self.schedule)
        return replace(selection, ratio=ratio, fixed=fixed)

    def _decided(self, selection: Selection, work: Work) -> dict[Dim, Keep]:
        """What is to stay in the end."""
        if self.threshold is not None:
            return thresholded(selection, self.threshold)
        if not self.targets:
            return SELECTORS[self.scope](selection)
        targets = [Target.parse(text) for text in self.targets]
        latency = [target for target in targets if target.quantity == "latency"]
        first = work.removals[0].analysis if work.removals else selection.analysis
        others = [target for target in targets if target not in latency]
        budgets = [Budget.of(target, first, work.original) for target in others]
        if not latency:
            return budgeted(selection, budgets)
        machine = Machine(self.provider, self.threads, self.seed)
        return measured_latency(selection, latency[0], budgets, work.original, machine)

    def _losses(
        self, analysis: Analysis, blocks: Sequence[Block], work: Work
    ) -> dict[Block, float]:
        """What is lost with each block, on the scale of the criterion."""
        if not blocks:
            return {}
        data = given_or_random(work.data, analysis, self.seed)
        choice = BlockChoice(analysis, blocks, len(blocks), data, self.seed)
        if is_absolute(CRITERIA[self._criterion(work)]):
            return measured_losses(choice)
        return shared_losses(choice)


def summary(chosen: list[Group], keeps: dict[Dim, Keep]) -> str:
    """How many channels of how many groups are gone."""
    total = sum(group.size for group in chosen)
    gone = sum(g.size - keeps[g.leaf].count for g in chosen if g.leaf in keeps)
    return f"removed {gone} of {total} channels in {len(keeps)} of {len(chosen)} groups"


def refusals(analysis: Analysis, groups: list[Group], chosen: list[Group]) -> list[Refusal]:
    """Why weights that no chosen group touches stay as they are, by reason, largest first."""
    touched = {member.weight for group in chosen for member in group.members}
    other = {member.weight: group for group in groups for member in group.members}
    sizes: dict[tuple[str, str], int] = {}
    for name in analysis.weights:
        if name in touched:
            continue
        key = _reason(analysis, name, other)
        sizes[key] = sizes.get(key, 0) + analysis.parameters(name)
    ranked = sorted(sizes.items(), key=lambda item: -item[1])
    return [Refusal(reason, node, count) for (reason, node), count in ranked]


def _reason(analysis: Analysis, name: str, other: dict[str, Group]) -> tuple[str, str]:
    if name in other:
        return f"groups of kind {other[name].kind} are not pruned here (--kinds)", ""
    causes = block_reasons(analysis, name)
    if causes:
        return causes[0][1].reason, causes[0][1].where
    return "only constants carry its axes, or they have one index", ""


def _one_of(what: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise unknown(what, value, allowed)
