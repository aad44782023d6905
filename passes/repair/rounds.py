"""Layers fitted one depth after another: each sees what those before it were fitted to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from onnxprune.cost.macs import count_macs
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.data.batches import Batch
from onnxprune.data.narrow import narrowed
from onnxprune.data.spool import Spool
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import Tensor
from onnxprune.ops.affine import Linear
from onnxprune.passes.repair.gather import Seen, gather
from onnxprune.passes.repair.least_squares import Array
from onnxprune.passes.repair.numbers import Numbers
from onnxprune.passes.repair.targets import Target
from onnxprune.passes.work import Removal, ports_of
from onnxprune.progress import track
from onnxprune.verify.fidelity import Fidelities, tensor_outputs
from onnxprune.verify.sessions import session_of

_LOG = logging.getLogger(__name__)

WORK = 8e12
"""Multiply-accumulates that all runs over the data may take; with more, layers are fitted in groups
that do not see each other's new weights."""
MOMENTS_BYTES = 1 << 29
"""What the moments of layers that are fitted together may take."""

Fitting = Callable[[Target, Seen, Numbers], dict[str, Array]]
"""From a layer, what it reads and should give, and the weights that there are to new constants;
none where nothing helps."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A model with layers fitted anew.

    Attributes:
        model: the model.
        names: of the constants that are new.
        layers: how many layers were fitted.
    """

    model: Model
    names: frozenset[str]
    layers: int


def fitted_in_turn(
    removals: Sequence[Removal],
    numbers: Numbers,
    targets: Sequence[Target],
    data: Spool[Batch],
    fit: Fitting,
    seed: int,
    what: str,
    *,
    at_once: bool = False,
) -> Fresh:
    """Fit layers, one depth after another while there is time, else in groups.

    Args:
        removals: how the model came to be.
        numbers: its weights.
        targets: the layers.
        data: inputs of the original; gone through once for each group.
        fit: what makes new constants of a layer.
        seed: of the choice of output places.
        what: what to call it while it goes on.
        at_once: whether no layer need know of what others are fitted to.
    """
    passes = 1 if at_once else _passes(removals[0].analysis, data)
    rounds = list(_rounds(targets, numbers, passes))
    fresh: dict[str, Tensor] = {}
    layers = 0
    model = numbers.model
    for number, together in enumerate(track(rounds, f"{what} in rounds")):
        now = replace(numbers, model=model)
        title = f"{what}, {number + 1} of {len(rounds)}"
        for target, moments in gather(removals, now, together, data, seed, title).items():
            made = fit(target, moments, now)
            layers += bool(made)
            made |= {use.bias: made[target.bias] for use in target.uses if target.bias in made}
            fresh |= now.stored(made)
        _LOG.debug("%s: %d layers, %d fitted so far", title, len(together), layers)
        model = numbers.model.copy()
        model.set_constants(fresh)
    return Fresh(model, frozenset(fresh), layers)


def deviations(
    removals: Sequence[Removal], models: Sequence[Model], data: Spool[Batch]
) -> tuple[list[float], int]:
    """How far the outputs of models are from the original's, as shares of their squares.

    Args:
        removals: how the models came to be.
        models: any.
        data: inputs of the original.

    Returns:
        One number for each model, and the number of samples.
    """
    found = [Fidelities() for _ in models]
    ports = ports_of(removals)
    samples = 0
    with ExitStack() as stack:
        first = removals[0].analysis.canonical.model
        original, *sessions = (
            stack.enter_context(session_of(model, optimization="all")) for model in (first, *models)
        )
        for batch in track(data, "comparing outputs"):
            names = tensor_outputs(sessions[0])
            outputs = narrowed(original.run(batch.feeds, names), ports)
            feeds = narrowed(batch.feeds, ports)
            for fidelities, session in zip(found, sessions, strict=True):
                fidelities.add(outputs, session.run(feeds, names))
            samples += batch.size
    return [fidelities.noise() or 0.0 for fidelities in found], samples


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
