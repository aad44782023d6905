"""Repair: fit the layers that are left to what the original's layers compute, in graph order.

Each layer is fitted to what the original gives at the same place, for what it reads itself in the
pruned model, where those before it are fitted already; so errors do not pile up. J.-H. Luo, J. Wu,
W. Lin, "ThiNet", ICCV 2017; Y. He, X. Zhang, J. Sun, "Channel Pruning for Accelerating Very Deep
Neural Networks", ICCV 2017. Padding is part of what is read, so that biases are exact at borders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import ClassVar

import numpy as np

from onnxprune.cost.macs import count_macs
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.data.batches import Batch
from onnxprune.data.narrow import narrowed
from onnxprune.data.natural import natural
from onnxprune.data.spool import Spool, spooled
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import Tensor
from onnxprune.ops.affine import Linear, Scaling
from onnxprune.passes.repair.gather import Seen, gather
from onnxprune.passes.repair.least_squares import Array, Moments, fitted
from onnxprune.passes.repair.numbers import Numbers
from onnxprune.passes.repair.targets import Target, find_targets
from onnxprune.passes.stand_in import RANDOM_SETS, random_batches
from onnxprune.passes.work import PassReport, Removal, Repaired, Work, ports_of
from onnxprune.progress import track
from onnxprune.verify.fidelity import Fidelities, tensor_outputs
from onnxprune.verify.sessions import session_of

WORK = 8e12
"""Multiply-accumulates that all runs over the data may take; with more, layers are fitted in groups
that do not see each other's repair."""
MOMENTS_BYTES = 1 << 29
"""What the moments of layers that are fitted together may take."""
_LEAST_SCALE = 1e-6
"""A channel that is scaled by less does not tell what it was."""
RANDOM_BATCH = 32
"""Samples of each set of random inputs that stands in for data, where the batch is free."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Fit what is left of the layers to what the original computes.

    Attributes:
        random: whether random inputs take the place of data where there is none; else nothing is
            done without data.
        seed: of random inputs, and of the choice of places.
    """

    name: ClassVar[str] = "repair"

    random: bool = False
    seed: int = 0

    def run(self, work: Work) -> PassReport:
        """Fit the model as it is now to the original."""
        report = PassReport(self.name)
        fresh = list(takewhile(lambda removal: removal.repaired is None, work.removals[::-1]))
        if not any(removal.keeps for removal in fresh):
            return report
        removal = work.removals[-1]
        data = work.data
        if data is None:
            if not self.random:
                return report
            noise = random_batches(removal.analysis, RANDOM_SETS, self.seed, RANDOM_BATCH)
            data = [replace(b, feeds=natural(b.feeds, turn)) for turn, b in enumerate(noise)]
        numbers = Numbers(removal.analysis, work.model)
        targets = find_targets(work.removals, numbers)
        if not targets:
            report.did.append(
                "found no layer to fit: integers that operators read as such stay as they are"
            )
            return report
        with spooled(track(data, "reading data")) as batches:
            found = repair(work.removals, numbers, targets, batches, self.seed)
        if not found.after < found.before:
            report.did.append("left all weights as they were: none could be fitted better")
            return report
        removal.pruned, removal.repaired = work.model, found
        work.model = found.model
        report.modified = True
        report.did.append(f"fitted {found.layers} layers: {_shares(found)}")
        return report


def _shares(found: Repaired) -> str:
    return f"deviation from {found.before:.3g} of the outputs' squares to {found.after:.3g}"


def repair(
    removals: Sequence[Removal],
    numbers: Numbers,
    targets: Sequence[Target],
    data: Spool[Batch],
    seed: int = 0,
) -> Repaired:
    """Fit the layers of a pruned model.

    Args:
        removals: how it came to be.
        numbers: the weights of the model after them, and after what was folded since.
        targets: the layers; see `find_targets`.
        data: inputs of the original; gone through once for each depth of layers.
        seed: of the choice of output places.

    Returns:
        The repaired model, and what that did; where it helped nothing, the model as it was.
    """
    pruned = numbers.model
    rounds = list(_rounds(targets, numbers, _passes(removals[0].analysis, data)))
    fresh: dict[str, Tensor] = {}
    layers = 0
    model = pruned
    for number, together in enumerate(rounds):
        what = f"repairing, {number + 1} of {len(rounds)}"
        now = replace(numbers, model=model)
        seen = gather(removals, now, together, data, seed, what)
        for target, moments in seen.items():
            made = _fit(target, moments, now)
            layers += bool(made)
            made |= {use.bias: made[target.bias] for use in target.uses if target.bias in made}
            fresh |= now.stored(made)
        model = pruned.copy()
        model.set_constants(fresh)
    before, after, samples = _deviations(removals, pruned, model, data)
    return Repaired(model, frozenset(fresh), layers, before, after, samples)


def _deviations(
    removals: Sequence[Removal], pruned: Model, repaired: Model, data: Spool[Batch]
) -> tuple[float, float, int]:
    """How far outputs are from the original's, before and after; and the number of samples."""
    found = Fidelities(), Fidelities()
    ports = ports_of(removals)
    samples = 0
    with (
        session_of(removals[0].analysis.canonical.model, optimization="all") as original,
        session_of(pruned, optimization="all") as one,
        session_of(repaired, optimization="all") as two,
    ):
        for batch in track(data, "comparing outputs"):
            names = tensor_outputs(one)
            outputs = narrowed(original.run(batch.feeds, names), ports)
            feeds = narrowed(batch.feeds, ports)
            for fidelities, session in zip(found, (one, two), strict=True):
                fidelities.add(outputs, session.run(feeds, names))
            samples += batch.size
    before, after = (fidelities.noise() for fidelities in found)
    return (before or 0.0, after or 0.0, samples)


def _passes(analysis: Analysis, data: Spool[Batch]) -> int:
    """How many runs over the data there is time for."""
    macs = Sample.of(analysis).share(count_macs(analysis))
    samples = sum(batch.size for batch in data)
    return max(1, int(WORK / (0.75 * max(macs * samples, 1))))


def _rounds(targets: Sequence[Target], numbers: Numbers, passes: int) -> Iterator[list[Target]]:
    """Layers that are fitted together: those of one depth, or of more if there are too many."""
    ordered = sorted(targets, key=lambda target: target.depth)
    levels = [list(level) for _, level in groupby(ordered, key=lambda target: target.depth)]
    share = len(ordered) / max(min(passes, len(levels)), 1)
    held: list[Target] = []
    size = 0
    for level in levels:
        for target in level:
            size += (more := _nbytes(target, numbers))
            if held and size > MOMENTS_BYTES:
                yield held
                held, size = [], more
            held.append(target)
        if len(levels) <= passes or len(held) >= share:
            yield held
            held, size = [], 0
    if held:
        yield held


def _nbytes(target: Target, numbers: Numbers) -> int:
    """What the moments of a layer take: those to fit to, and those held out."""
    if not isinstance(target.form, Linear):
        return 0
    groups, k, m = target.form.matrix(np.zeros(numbers.shape(target.weight))).shape
    return int(2 * 8 * groups * (k + 1) * (k + 1 + m))


def _fit(target: Target, seen: Seen, numbers: Numbers) -> dict[str, Array]:
    """New constants for a layer; none where nothing helps."""
    if isinstance(target.form, Linear):
        old = numbers[target.weight]
        weight = target.form.matrix(old.astype(np.float64))
        bias = None
        if target.bias:
            flat = numbers[target.bias].astype(np.float64) * target.form.bias_scale
            bias = flat.reshape(len(weight), 1, -1)
        fit = fitted(seen.fit, seen.held, weight, bias, shifted=target.shifted)
        if not fit.after < fit.before:
            return {}
        made = {target.weight: target.form.restored(fit.weight, old.shape)}
        if target.bias:
            shape = numbers.shape(target.bias)
            made[target.bias] = (fit.bias / target.form.bias_scale).reshape(shape)
        return made
    return _fit_scaling(target, seen, numbers)


def _fit_scaling(target: Target, seen: Seen, numbers: Numbers) -> dict[str, Array]:
    """New scales and biases: ``a y + b`` of what the layer gives is nearest to the original."""
    everything = seen.fit + seen.held
    ones = np.ones((len(everything.xx), 1, 1))
    old = {name: numbers[name] for name in (target.weight, target.bias) if name}
    if not target.weight:
        shift = everything.shift(ones)
        return {target.bias: old[target.bias] + shift.reshape(old[target.bias].shape)}
    fit = fitted(seen.fit, seen.held, ones, np.zeros_like(ones) if target.bias else None)
    if not fit.after < fit.before:
        return {}
    made = {target.weight: old[target.weight] * fit.weight.reshape(old[target.weight].shape)}
    if target.bias:
        shape = old[target.bias].shape
        made[target.bias] = old[target.bias] * fit.weight.reshape(shape) + fit.bias.reshape(shape)
    return made | _with_statistics(target, everything, old, made, numbers)


def _with_statistics(
    target: Target,
    seen: Moments,
    old: Mapping[str, Array],
    made: Mapping[str, Array],
    numbers: Numbers,
) -> dict[str, Array]:
    """The same scaling, told with the statistics that its input has now.

    So a BatchNormalization does in training, when a pruned network is trained further, what it does
    in inference.
    """
    if not isinstance(target.form, Scaling) or not target.statistics:
        return {}
    mean, variance = (numbers[n].astype(np.float64) for n in target.statistics)
    scale, bias = (old[name].astype(np.float64) for name in (target.weight, target.bias))
    known = np.abs(scale) > _LEAST_SCALE
    deviation = np.sqrt(variance + target.form.epsilon)
    spread = deviation / np.where(known, scale, 1.0)
    given = seen.xx[:, 0, 1] / seen.rows
    moved = (given - bias) * spread  # of the mean
    fresh = np.maximum(seen.xx[:, 0, 0] / seen.rows - given**2, 0.0) * spread**2
    factor = np.sqrt(fresh + target.form.epsilon) / deviation
    shifted = made[target.bias] + made[target.weight] * moved / deviation
    names = (*target.statistics, target.weight, target.bias)
    told = (mean + moved, fresh, made[target.weight] * factor, shifted)
    before = (mean, variance, made[target.weight], made[target.bias])
    return {n: np.where(known, a, b) for n, a, b in zip(names, told, before, strict=True)}
