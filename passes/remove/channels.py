"""Remove channels: analyse, score, select, slice."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar, Literal

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import (
    DEFAULT_KINDS,
    KINDS,
    Group,
    block_reasons,
    choose,
    find_groups,
)
from onnxprune.coupling.isomorphism import isomorphism_classes
from onnxprune.errors import UsageError
from onnxprune.ir.model import Model
from onnxprune.passes.remove.slicing import remove
from onnxprune.passes.score.magnitude import CRITERIA, Magnitude
from onnxprune.passes.select.alignment import RoundTo
from onnxprune.passes.select.budget import Budget, select_budgeted
from onnxprune.passes.select.global_rank import select_ranked
from onnxprune.passes.select.targets import Target
from onnxprune.passes.select.uniform import select_uniform
from onnxprune.passes.work import PassReport, Refusal, Removal, Work

SCOPES = ("uniform", "global", "isomorphic")
"""What a ratio is meant of; see `RemoveChannels.scope`."""


@dataclass(frozen=True, kw_only=True)
class RemoveChannels:
    """Remove a fraction of the channels of every coupling group, or of all of them together.

    Attributes:
        ratio: fraction to remove, in [0, 1).
        scope: ``uniform`` (of every group), ``global`` (all channels ranked together) or
            ``isomorphic`` (channels of groups with the same structure ranked together).
        criterion: ``l1`` or ``l2``, norms of the weights that produce a channel.
        round_to: widths become multiples of it; ``auto`` takes what hardware likes.
        kinds: kinds of groups that are pruned.
        ignore: glob patterns over node names, operator types and value names; what a matching node
            reads or makes stays as it is.
        allow_io: axes of graph inputs and outputs that may be pruned, as ``NAME:AXIS``; the name
            may be a glob pattern.
        minimum: fewest channels kept of a group.
        targets: what the model may cost at most, such as ``macs=0.5`` or ``size=5MB`` (see
            `Target`); then `ratio` and `scope` mean nothing.
        seed: for criteria that draw random numbers; none of those here do.
    """

    name: ClassVar[str] = "remove-channels"

    ratio: float = 0.3
    scope: Literal["uniform", "global", "isomorphic"] = "uniform"
    criterion: str = "l2"
    round_to: RoundTo = "auto"
    kinds: tuple[str, ...] = DEFAULT_KINDS
    ignore: tuple[str, ...] = ()
    allow_io: tuple[str, ...] = ()
    minimum: int = 1
    targets: tuple[str, ...] = ()
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
        _one_of("scope", self.scope, SCOPES)
        _one_of("criterion", self.criterion, CRITERIA)
        for kind in self.kinds:
            _one_of("kind", kind, KINDS)
        if self.round_to != "auto" and (not isinstance(self.round_to, int) or self.round_to < 1):
            raise UsageError(f"round_to is {self.round_to!r}", hint="give a number from 1, or auto")
        if self.minimum < 1:
            raise UsageError(f"minimum is {self.minimum}", why="a group keeps one channel at least")
        for target in self.targets:
            Target.parse(target)

    def run(self, work: Work) -> PassReport:
        """Replace the model by one with fewer channels."""
        start = perf_counter()
        analysis = analyse(work.canonical(), self.ignore, self.allow_io)
        groups = find_groups(analysis)
        chosen = choose(groups, self.kinds, None if self.targets else self.ratio)
        work.note_time("analyse", start)
        start = perf_counter()
        keeps = self.select(analysis, chosen, work.original)
        pruned = remove(analysis, keeps)
        work.note_time("remove", start)
        report = PassReport(self.name, bool(keeps), refused=refusals(analysis, groups, chosen))
        work.removals.append(Removal(analysis, groups, chosen, keeps, pruned))
        if keeps:
            work.model = pruned
            report.did.append(summary(chosen, keeps))
        return report

    def select(self, analysis: Analysis, chosen: list[Group], original: Model) -> dict[Dim, Keep]:
        """Decide what stays of each group; shares of targets are meant of `original`."""
        magnitude = Magnitude(analysis, self.criterion, chosen)
        scores = {group: magnitude.score(group) for group in chosen}
        if self.targets:
            budgets = [Budget.of(Target.parse(text), analysis, original) for text in self.targets]
            return select_budgeted(analysis, scores, budgets, self.round_to, self.minimum)
        how = (self.ratio, self.round_to, self.minimum)
        if self.scope == "uniform":
            return select_uniform(analysis, scores, *how)
        isomorphic = self.scope == "isomorphic"
        classes = isomorphism_classes(analysis, chosen) if isomorphic else None
        return select_ranked(analysis, scores, *how, classes)


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
        sizes[key] = sizes.get(key, 0) + analysis.canonical.model.constants[name].size
    ranked = sorted(sizes.items(), key=lambda item: -item[1])
    return [Refusal(reason, node, count) for (reason, node), count in ranked]


def _reason(analysis: Analysis, name: str, other: dict[str, Group]) -> tuple[str, str]:
    if name in other:
        return f"groups of kind {other[name].kind} are not pruned here (--kinds)", ""
    causes = block_reasons(analysis, name)
    if causes:
        return causes[0][1].reason, causes[0][1].where
    return "only constants carry its axes, or they have one index", ""


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"there is no {what} {value!r}", hint=f"choose from {', '.join(allowed)}")
