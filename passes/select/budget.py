"""Budgets: as little importance lost as can be, at costs that are given.

A knapsack over ranked channels: the value of a channel is what its group loses with it, its cost
what the whole model saves. Costs of groups depend on each other (a convolution's on both its
sides), so they are counted anew after every step; the step that saves most for what it loses is
taken first, and at the end what still fits is given back. M. Shen et al., "HALP: Hardware-Aware
Latency Pruning", 2021, solve the knapsack exactly for costs that do not interact.

What a group loses is the logarithm of the share of importance that stays: the last channels of a
group are worth the most, and to lose all would cost without bound. It counts once for each
operator that reads the group, so that a residual stream is not cheaper than the layers along it.
Of criteria that tell losses (`is_absolute`), these are added up as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keep
from onnxprune.cost.latency import LatencyTable
from onnxprune.cost.ledger import Costs, Ledger
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.blocks import Block
from onnxprune.coupling.groups import Group
from onnxprune.errors import CheckFailedError
from onnxprune.ir.model import Model
from onnxprune.passes.score.scoring import Scores
from onnxprune.passes.select.alignment import AUTO_MULTIPLES, kept_counts, kept_steps
from onnxprune.passes.select.curve import Curve
from onnxprune.passes.select.selection import LARGEST_RATIO, Selection, by_index
from onnxprune.passes.select.targets import Target

SLACK = 0.02
"""How much of a budget may be left over; then widths are rounded less."""
_AHEAD = 6
"""How many steps of a group are weighed at once: a small one may save nothing."""
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a model may cost.

    Attributes:
        quantity: one of `cost.ledger.QUANTITIES`.
        limit: the most, in the unit of the quantity.
    """

    quantity: str
    limit: float

    @classmethod
    def of(cls, target: Target, analysis: Analysis, original: Model) -> Budget:
        """What a target means for a model.

        Args:
            target: shares are meant of the original.
            analysis: the original's.
            original: the model as it was loaded.

        Raises:
            CheckFailedError: the model has nothing of what the target limits.
        """
        if target.quantity == "params":
            whole, unit = float(original.parameters), 1.0
        elif target.quantity == "size":
            whole, unit = float(original.size_bytes), 1.0
        else:
            totals = Ledger(analysis, (), memory=target.quantity == "memory").totals
            whole, unit = totals[target.quantity], float(Sample.of(analysis).batch)
        if whole <= 0:
            raise CheckFailedError(
                f"the model costs no {target.quantity}",
                where=f"target for {target.quantity}",
                hint="give a target for params, size or memory",
            )
        return cls(target.quantity, target.value * (whole if target.relative else unit))


def budgeted(
    selection: Selection, budgets: Sequence[Budget], table: LatencyTable | None = None
) -> dict[Dim, Keep]:
    """Keep as much importance as the budgets allow; all of them are met.

    What that cost on the way is noted in ``selection.curves``.

    Args:
        selection: what is to be decided.
        budgets: the most that the model may cost.
        table: latencies, if one of the budgets is of these.

    Raises:
        CheckFailedError: a budget cannot be met; it says how far it got and what holds it back.
    """
    analysis, scores, round_to = selection.analysis, selection.free, selection.round_to
    memory = any(b.quantity == "memory" for b in budgets)
    inside = (group for block in selection.blocks for group in block.groups)
    groups = dict.fromkeys((*selection.scores, *inside))
    ledger = Ledger(analysis, groups, memory=memory, table=table)
    ledger.set(kept_counts(analysis, selection.fixed, round_to, selection.least))
    losses = _losses(selection)
    least = fewest(selection)
    blocks = {b: _loss_of(b, loss, losses, least) for b, loss in selection.blocks.items()}
    knapsack = _Knapsack(ledger, losses, blocks, budgets)
    knapsack.shrink(kept_steps(analysis, scores, round_to, least))
    selection.curves[:] = knapsack.curves()
    finer = (*AUTO_MULTIPLES[-1:], 1) if round_to == "auto" else ()
    for multiple in (round_to, *finer):
        knapsack.give_back(kept_steps(analysis, scores, multiple, least))
        if knapsack.fill() > 1 - SLACK:
            break
    return selection.keep_counts(ledger.counts)


def fewest(selection: Selection) -> dict[Group, int]:
    """The fewest indices that a budget leaves of each group: a tenth, or what the user says."""
    return {
        group: max(selection.least.get(group, 1), group.size - int(group.size * LARGEST_RATIO))
        for group in selection.free
    }


def _readers(analysis: Analysis, groups: Iterable[Group]) -> dict[Group, int]:
    """How many operators sum over each group; at least one."""
    by_leaf = {group.leaf: group for group in groups}
    readers = dict.fromkeys(by_leaf.values(), 0)
    for placed in analysis.placed:
        summed = [role.dim for role in placed.site.roles if role.name == "contracted"]
        for leaf in {leaf for dim in summed for leaf in dim.leaves()} & by_leaf.keys():
            readers[by_leaf[leaf]] += 1
    return {group: max(count, 1) for group, count in readers.items()}


def _losses(selection: Selection) -> dict[Group, Scores]:
    """What groups lose that keep their n best indices, for n from 0 on, shape ``[v + 1]``."""
    ranked = {group: by_index(scores) for group, scores in selection.free.items()}
    if selection.absolute:
        return {group: _summed(scores) for group, scores in ranked.items()}
    readers = _readers(selection.analysis, ranked)
    return {group: readers[group] * _by_share(scores) for group, scores in ranked.items()}


def _summed(losses: Scores) -> Scores:
    """The losses of all indices but the n best, for n from 0 on."""
    worst_first = np.sort(np.maximum(losses, 0.0))
    return np.concatenate([np.cumsum(worst_first)[::-1], [0.0]])


def _by_share(importance: Scores) -> Scores:
    """``-log(share kept)`` of a group that keeps its n best indices, for n from 0 on."""
    best_first = np.sort(np.maximum(importance, 0.0))[::-1]
    kept = np.concatenate([[0.0], np.cumsum(best_first)])
    share = kept / kept[-1] if kept[-1] else np.arange(len(kept)) / max(len(kept) - 1, 1)
    losses: Scores = -np.log(np.maximum(share, _NOTHING))
    return losses


def _loss_of(
    block: Block, loss: float, losses: Mapping[Group, Scores], least: Mapping[Group, int]
) -> float:
    """What is lost with a block: what its groups lose before it goes, and the rest of it."""
    return loss + _largest(block, losses, least)


def _largest(block: Block, losses: Mapping[Group, Scores], counts: Mapping[Group, int]) -> float:
    """What a block lost with the channels of its groups: they lie in a row, and share a loss."""
    return max((float(losses[g][counts[g]]) for g in block.groups if g in losses), default=0.0)


Steps = Mapping[Group, Sequence[int]]
"""The numbers of indices that groups may keep, largest first."""


class _Knapsack:
    """What stays of each group and block, what that costs, and what it loses."""

    def __init__(
        self,
        ledger: Ledger,
        losses: Mapping[Group, npt.NDArray[np.float64]],
        blocks: Mapping[Block, float],
        budgets: Sequence[Budget],
    ) -> None:
        self._ledger = ledger
        self._losses = losses
        self._blocks = blocks
        self._budgets = budgets
        self._whole = ledger.totals
        self._course = [(ledger.totals, 0.0)]

    def shrink(self, steps: Steps) -> None:
        """Take the densest step, until every budget is met.

        Densities mostly fall as the model shrinks, so an old one is counted anew only when it is
        the highest (M. Minoux, "Accelerated greedy algorithms for maximizing submodular set
        functions", 1978).
        """

        def weighed(move: Group | Block) -> tuple[float, int]:
            if isinstance(move, Group):
                return self._densest(move, steps[move])
            return self._density(move), 0

        moves: list[Group | Block] = [*steps, *self._blocks]
        best = {move: weighed(move) for move in moves}
        fresh = set(best)
        while not self._fits(self._ledger.totals):
            move = max(best, key=lambda move: best[move][0], default=None)
            if move is None or best[move][0] <= 0:
                raise self._unmet()
            if move in fresh:
                fresh.clear()
                if isinstance(move, Block):
                    lost = self._blocks[move] - self._lost_within(move)
                    self._ledger.set(dict.fromkeys(move.groups, 0), move)
                    self._note(lost)
                    best = {other: w for other, w in best.items() if _is_apart(other, move)}
                    continue
                now, then = self._ledger.counts[move], best[move][1]
                self._ledger.set({move: then})
                self._note(float(self._losses[move][then] - self._losses[move][now]))
            best[move] = weighed(move)
            fresh.add(move)

    def _note(self, lost: float) -> None:
        """Note where a step led to, and what it lost."""
        self._course.append((self._ledger.totals, self._course[-1][1] + lost))

    def curves(self) -> list[Curve]:
        """What each budget cost on the way to it."""
        return [
            Curve(
                budget.quantity,
                budget.limit / self._whole[budget.quantity],
                tuple(
                    (costs[budget.quantity] / self._whole[budget.quantity], loss)
                    for costs, loss in self._course
                ),
            )
            for budget in self._budgets
        ]

    def give_back(self, steps: Steps) -> None:
        """Let groups grow again while it fits, what regains most first."""
        while True:
            grown = [step for group in steps for step in self._regain(group, steps[group])]
            if not grown:
                return
            _, group, count = max(grown, key=lambda step: step[0])
            self._ledger.set({group: count})

    def fill(self) -> float:
        """The share of the tightest budget that is used."""
        return max(self._ledger.totals[b.quantity] / b.limit for b in self._budgets)

    def _densest(self, group: Group, steps: Sequence[int]) -> tuple[float, int]:
        """What the best smaller number of indices saves for what it loses, and that number."""
        now = self._ledger.counts[group]
        best = (0.0, now)
        for count in [count for count in steps if count < now][:_AHEAD]:
            lost = self._losses[group][count] - self._losses[group][now]
            saved = self._saved(self._ledger.after({group: count}))
            best = max(best, (saved / max(lost, _NOTHING), count))
        return best

    def _density(self, block: Block) -> float:
        """The same of a block that goes whole; what its groups lost already is no loss again."""
        lost = self._lost_within(block)
        saved = self._saved(self._ledger.after(dict.fromkeys(block.groups, 0), block))
        return saved / max(self._blocks[block] - lost, _NOTHING)

    def _lost_within(self, block: Block) -> float:
        """What the groups of a block lost already."""
        return _largest(block, self._losses, self._ledger.counts)

    def _saved(self, after: Costs) -> float:
        """What a step saves of what is too much, as shares of the whole model's costs."""
        now, total = self._ledger.totals, 0.0
        for budget in self._budgets:
            excess = now[budget.quantity] - budget.limit
            if excess > 0:
                saved = _slope(now, budget) - _slope(after, budget)
                total += min(saved, excess) / self._whole[budget.quantity]
        return total

    def _regain(self, group: Group, steps: Sequence[int]) -> Iterable[tuple[float, Group, int]]:
        now = self._ledger.counts[group]
        larger = [count for count in steps if count > now > 0]
        if larger and self._fits(after := self._ledger.after({group: larger[-1]})):
            gained = self._losses[group][now] - self._losses[group][larger[-1]]
            spent = sum(
                (after[b.quantity] - self._ledger.totals[b.quantity]) / b.limit
                for b in self._budgets
            )
            yield gained / max(spent, _NOTHING), group, larger[-1]

    def _fits(self, costs: Costs) -> bool:
        return all(costs[budget.quantity] <= budget.limit for budget in self._budgets)

    def _unmet(self) -> CheckFailedError:
        now = self._ledger.totals
        unmet = [b for b in self._budgets if now[b.quantity] > b.limit]
        shares = [
            f"{b.quantity}: {now[b.quantity] / self._whole[b.quantity]:.1%} of the original is "
            f"left, {b.limit / self._whole[b.quantity]:.1%} is the budget"
            for b in unmet
        ]
        return CheckFailedError(
            "the budget cannot be met",
            where="; ".join(shares),
            why="no group may shrink further (a tenth of its channels stays), or would save "
            f"anything; what is left: {', '.join(self._ledger.largest(unmet[0].quantity))}",
            hint="allow more: --kinds all, --allow-io, a larger budget; `onnxprune inspect` says "
            "what is blocked and why",
        )


def _is_apart(move: Group | Block, block: Block) -> bool:
    """Whether a move has nothing to do with a block that goes."""
    return block.is_apart((move,) if isinstance(move, Group) else move.groups)


def _slope(costs: Costs, budget: Budget) -> float:
    return costs.pressure if budget.quantity == "memory" else costs[budget.quantity]
