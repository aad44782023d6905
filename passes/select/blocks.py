"""Which residual blocks go: those that change least of what goes around them, or are missed least.

Influence: X. Men et al., "ShortGPT: Layers in Large Language Models are More Redundant Than You
Expect", 2024. Sensitivity removes blocks one by one, those without which the outputs stay closest
to the original's, whatever their scale: repair gives that back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.blocks import Block
from onnxprune.coupling.groups import Group
from onnxprune.data.batches import Batch
from onnxprune.ir.probe import cut_at
from onnxprune.passes.measure.trials import Trial, trials_on
from onnxprune.passes.score.sensitivity import additive
from onnxprune.passes.score.statistics import collect_sums
from onnxprune.progress import track
from onnxprune.verify.sessions import session_of

_TINY = 1e-12
BEAM = 4
"""So many sets of blocks go on to the next round."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockChoice:
    """What is to be decided.

    Attributes:
        analysis: the model.
        blocks: those that can go.
        count: how many go.
        data: inputs; gone through more than once.
        seed: for choices at random.
    """

    analysis: Analysis
    blocks: Sequence[Block]
    count: int
    data: Iterable[Batch]
    seed: int = 0

    @property
    def groups(self) -> list[Group]:
        """The groups of all blocks."""
        return [group for block in self.blocks for group in block.groups]

    def least(self, losses: Mapping[Block, float]) -> list[Block]:
        """Those with the smallest losses, of which none lies inside another."""
        chosen: list[Block] = []
        for block in sorted(losses, key=lambda block: losses[block]):
            if len(chosen) < self.count and all(block.is_apart(c.groups) for c in chosen):
                chosen.append(block)
        return chosen


def by_influence(choice: BlockChoice) -> list[Block]:
    """Blocks whose result is most like what goes around them, by the cosine of whole samples."""
    canonical = choice.analysis.canonical
    names = dict.fromkeys(name for b in choice.blocks for name in (b.shortcut, b.output))
    likeness = dict.fromkeys(choice.blocks, 0.0)
    probe = cut_at(canonical.model, names, canonical.facts.elem_types)
    with session_of(probe, optimization="all") as session:
        for batch in track(choice.data, "comparing blocks"):
            seen = session.run(batch.feeds)
            for block in choice.blocks:
                likeness[block] += _cosine(seen[block.shortcut], seen[block.output], batch.size)
    return choice.least({block: -total for block, total in likeness.items()})


def by_sensitivity(choice: BlockChoice) -> list[Block]:
    """Blocks one by one, each time those without which the outputs deviate least.

    A beam search: the few best sets go on, for the best block alone need not be of the best pair.
    """
    best: list[frozenset[Block]] = [frozenset()]
    with trials_on(choice.analysis, choice.groups, choice.data) as trials:
        for number in range(choice.count):
            larger = {
                taken | {block}: None
                for taken in best
                for block in choice.blocks
                if all(block.is_apart(other.groups) for other in taken)
            }
            tried = track(larger, f"trying blocks, {number + 1} of {choice.count}", len(larger))
            losses = {blocks: trials.run(_without(blocks)).angle for blocks in tried}
            best = sorted(losses, key=lambda blocks: losses[blocks])[:BEAM]
    return sorted(best[0], key=choice.blocks.index) if best else []


def at_random(choice: BlockChoice) -> list[Block]:
    """Any blocks: what other criteria must be better than."""
    drawn = np.random.default_rng(choice.seed).random(len(choice.blocks))
    return choice.least(dict(zip(choice.blocks, drawn.tolist(), strict=True)))


def measured_losses(choice: BlockChoice) -> dict[Block, float]:
    """What the outputs lose without each block, as losses that add up."""
    with trials_on(choice.analysis, choice.groups, choice.data) as trials:
        tried = track(choice.blocks, "trying blocks")
        return {block: additive(trials.run(_without([block])).loss) for block in tried}


def shared_losses(choice: BlockChoice) -> dict[Block, float]:
    """What sums lose without each block: ``-log`` of the share of their variance that is left.

    The mean of a block stays as a bias. As with channels, it counts for each operator that sums
    over what is there afterwards.
    """
    summed = [
        (place, set(role.dim.leaves()))
        for place, placed in enumerate(choice.analysis.placed)
        for role in placed.site.roles
        if role.name == "contracted"
    ]
    leaves = set[Dim]().union(*(dims for _, dims in summed))
    axes = {block: _channel_axis(choice.analysis, block, leaves) for block in choice.blocks}
    wanted = {(name, axes[b]): None for b in choice.blocks for name in (b.branch, b.output)}
    sums = collect_sums(choice.analysis, wanted, choice.data)
    losses: dict[Block, float] = {}
    for block, axis in axes.items():
        branch, output = (sums[name, axis].variance for name in (block.branch, block.output))
        share = float((branch / np.maximum(output, _TINY)).mean())
        read = set(choice.analysis.values[block.output].dims[axis].leaves())
        last = max(block.places)
        readers = sum(place > last and not read.isdisjoint(dims) for place, dims in summed)
        losses[block] = -max(readers, 1) * float(np.log(max(1 - share, _TINY)))
    return losses


def _channel_axis(analysis: Analysis, block: Block, summed: set[Dim]) -> int:
    """The axis of a block's result that operators sum over; the last one if there is none."""
    dims = analysis.values[block.output].dims
    found = (axis for axis, dim in enumerate(dims) if summed.intersection(dim.leaves()))
    return next(found, len(dims) - 1)


BLOCK_CRITERIA: dict[str, Callable[[BlockChoice], list[Block]]] = {
    "sensitivity": by_sensitivity,
    "influence": by_influence,
    "random": at_random,
}
"""What says which blocks go, by name."""


def _without(blocks: Iterable[Block]) -> Trial:
    return Trial({g.index: np.zeros(g.size, np.bool_) for block in blocks for g in block.groups})


def _cosine(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating], samples: int) -> float:
    """Sum over samples of the cosines between what two tensors hold for them."""
    rows = samples if x.shape[:1] == (samples,) else 1
    x, y = (array.reshape(rows, -1).astype(np.float64) for array in (x, y))
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    cosines = (x * y).sum(axis=1) / np.maximum(lengths, 1e-30)
    return float(cosines.sum() * samples / rows)
