"""Repair: fit the layers that are left to what the original's layers compute, in graph order.

Each layer is fitted to what the original gives at the same place, for what it reads itself in the
pruned model, where those before it are fitted already; so errors do not pile up. J.-H. Luo, J. Wu,
W. Lin, "ThiNet", ICCV 2017; Y. He, X. Zhang, J. Sun, "Channel Pruning for Accelerating Very Deep
Neural Networks", ICCV 2017. Padding is part of what is read, so that biases are exact at borders.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import ClassVar

import numpy as np

from onnxprune.data.batches import Batch
from onnxprune.data.natural import natural
from onnxprune.data.spool import Spool, spooled
from onnxprune.ops.affine import Linear, Scaling
from onnxprune.passes.repair.gather import Seen
from onnxprune.passes.repair.least_squares import Array, Moments, fitted
from onnxprune.passes.repair.numbers import Numbers
from onnxprune.passes.repair.rounds import deviations, fitted_in_turn
from onnxprune.passes.repair.targets import Target, find_targets
from onnxprune.passes.stand_in import RANDOM_SETS, random_batches
from onnxprune.passes.work import PassReport, Removal, Repaired, Work
from onnxprune.progress import track

_LOG = logging.getLogger(__name__)

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
        """Fit the model as it is now to the original.

        Weights that became zero after the last removal were fitted there, and stay.
        """
        report = PassReport(self.name)
        fresh = list(takewhile(lambda removal: removal.reweighted is None, work.removals[::-1]))
        if not any(removal.keeps for removal in fresh):
            return report
        removal = work.removals[-1]
        data = work.data
        if data is None:
            if not self.random:
                return report
            noise = random_batches(removal.analysis, RANDOM_SETS, self.seed, RANDOM_BATCH)
            data = [
                replace(b, feeds=natural(b.feeds, turn))
                for turn, b in enumerate(track(noise, "making inputs"))
            ]
        numbers = Numbers(removal.analysis, work.model)
        targets = find_targets(work.removals, numbers)
        if not targets:
            report.did.append(
                "found no layer to fit: integers that operators read as such stay as they are"
            )
            return report
        with spooled(track(data, "reading data")) as batches:
            found = repair(work.removals, numbers, targets, batches, self.seed)
        _LOG.info("%d of %d layers fitted: %s", found.layers, len(targets), _shares(found))
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
    fresh = fitted_in_turn(removals, numbers, targets, data, fit_layer, seed, "repairing")
    (before, after), samples = deviations(removals, (numbers.model, fresh.model), data)
    return Repaired(fresh.model, fresh.names, fresh.layers, before, after, samples)


def fit_layer(target: Target, seen: Seen, numbers: Numbers) -> dict[str, Array]:
    """New constants for a layer; none where nothing helps.

    Args:
        target: the layer.
        seen: what it reads and should give.
        numbers: the weights that there are.
    """
    form = target.form
    if not isinstance(form, Linear):
        return _fit_scaling(target, seen, numbers)
    weight, bias = as_matrices(target, form, numbers)
    fit = fitted(seen.fit, seen.held, weight, bias, shifted=target.shifted)
    if not fit.after < fit.before:
        return {}
    return as_constants(target, form, numbers, fit.weight, fit.bias)


def as_matrices(target: Target, form: Linear, numbers: Numbers) -> tuple[Array, Array | None]:
    """A layer's weight, ``[g, k, m]``, and its bias, ``[g, 1, m]``, if it has one.

    Args:
        target: the layer.
        form: what its nodes compute.
        numbers: the weights that there are.
    """
    weight = form.matrix(numbers[target.weight].astype(np.float64))
    if not target.bias:
        return weight, None
    flat = numbers[target.bias].astype(np.float64) * form.bias_scale
    return weight, flat.reshape(len(weight), 1, -1)


def as_constants(
    target: Target, form: Linear, numbers: Numbers, weight: Array, bias: Array
) -> dict[str, Array]:
    """New constants for a layer, of what `as_matrices` gives; without a bias, that counts nothing.

    Args:
        target: the layer.
        form: what its nodes compute.
        numbers: the weights that there are.
        weight: ``[g, k, m]``.
        bias: ``[g, 1, m]``.
    """
    made = {target.weight: form.restored(weight, numbers.shape(target.weight))}
    if target.bias:
        made[target.bias] = (bias / form.bias_scale).reshape(numbers.shape(target.bias))
    return made


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
