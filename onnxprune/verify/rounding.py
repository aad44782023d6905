"""What rounding explains: deviations that a jitter of the last bits of the right model makes, too.

Some tensors amplify the last bit: a softmax over large logits, the mean of what was just centred, a
chain of many layers. Others overflow, here or there. Such a deviation proves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.analysis import Analysis
from onnxprune.data.random import Feeds
from onnxprune.ir.model import Model
from onnxprune.ir.probe import jittered
from onnxprune.progress import track
from onnxprune.runtime import Session
from onnxprune.verify.deviation import Deviation, Noise, noise_between
from onnxprune.verify.pins import Pins
from onnxprune.verify.sessions import session_of

AMPLIFICATION = 20.0
"""A deviation is rounding if it is at most so many times what a jitter of the last bits does."""
DRAWS = 8
"""So often is rounding tried: where it decides between two places, it seldom changes its mind."""

Array = npt.NDArray[Any]


def excuse_rounding(
    deviations: Sequence[Deviation],
    session: Session,
    model: Model,
    feeds: Sequence[Feeds],
    types: Mapping[str, int],
    analysis: Analysis | None = None,
    pins: Pins | None = None,
) -> list[Deviation]:
    """Take deviations for rounding that a jitter of the last bits explains.

    The jitter is that of the model that the other one is held against: a fault that amplifies
    rounding, such as a detour over a narrower type, must not excuse itself.

    Args:
        deviations: of all tensors that were compared.
        session: over `model`, with all that was compared as outputs.
        model: the one that is right.
        feeds: its inputs.
        types: element type by value name.
        analysis: of the canonical model, if what overflows may excuse what is computed from it.
        pins: values that the other model was fed, and the one with the jitter is, too.

    Returns:
        The deviations, those that are excused replaced.
    """
    suspects = [d for d in deviations if not d.passed and isfinite(d.max_abs)]
    if analysis is not None:
        later = _computed_from(analysis, {d.name for d in suspects if d.overflows})
        suspects = [d for d in suspects if d.name not in later]
    bench = _Bench(session, model, feeds, types, pins or Pins(types=types))
    judged = _judged_by_jitter(suspects, bench) if suspects else {}
    result = [judged.get(d.name, d) for d in deviations]
    return result if analysis is None else excuse_overflow(result, analysis)


def excuse_overflow(deviations: Sequence[Deviation], analysis: Analysis) -> list[Deviation]:
    """Judge nothing that is computed from a tensor of which rounding decides where it overflows.

    Args:
        deviations: of all tensors that were compared.
        analysis: of the canonical model.
    """
    lost = _computed_from(analysis, {d.name for d in deviations if d.overflows and d.passed})
    return [
        replace(d, max_rel=0.0, reacts=False, passed=True) if not d.passed and d.name in lost else d
        for d in deviations
    ]


def _computed_from(analysis: Analysis, names: Collection[str]) -> set[str]:
    """The values that are computed from any of those named."""
    later: set[str] = set()
    for placed in analysis.placed if names else ():
        if any(name in names or name in later for name in placed.node.inputs):
            later.update(placed.node.outputs)
    return later


@dataclass(frozen=True, slots=True)
class _Bench:
    """The right model and what it runs on; see `excuse_rounding`."""

    session: Session
    model: Model
    feeds: Sequence[Feeds]
    types: Mapping[str, int]
    pins: Pins


def _judged_by_jitter(suspects: Sequence[Deviation], bench: _Bench) -> dict[str, Deviation]:
    names = [suspect.name for suspect in suspects]
    noise = dict.fromkeys(names, Noise())
    judged = {suspect.name: suspect for suspect in suspects}
    plain = [bench.session.run(feed, names) for feed in bench.feeds]
    for seed in track(range(DRAWS), "measuring rounding noise"):
        for name, moved in _noise(bench, plain, names, seed).items():
            noise[name] = noise[name].joined(moved)
        judged = {suspect.name: _without(suspect, noise[suspect.name]) for suspect in suspects}
        if all(deviation.passed for deviation in judged.values()):
            break
    return judged


def _noise(
    bench: _Bench, plain: Sequence[Mapping[str, Array]], names: Sequence[str], seed: int
) -> dict[str, Noise]:
    """What rounding alone does to tensors of a model.

    The model runs once more with its inputs changed by a few units in the last place, and every
    result by up to one (`jittered`).
    """
    rng = np.random.default_rng(seed)
    noise = dict.fromkeys(names, Noise())
    moving = jittered(bench.model, bench.types, seed)
    with session_of(bench.pins.probe(moving, names)) as other:
        for place, (feed, run) in enumerate(zip(bench.feeds, plain, strict=True)):
            nudged = {name: _nudged(array, rng) for name, array in feed.items()}
            for name, moved in bench.pins.run(other, nudged, place, names).items():
                noise[name] = noise[name].joined(noise_between(run[name], moved))
    return noise


def _without(deviation: Deviation, noise: Noise) -> Deviation:
    """Take for rounding what is hardly more; it proves nothing, so it does not count as reacting.

    What a nudge changes beyond all bounds tells nothing, and excuses nothing. That another branch
    is taken, or that other places overflow, is excused if a nudge does the same.
    """
    beyond = not deviation.max_abs <= AMPLIFICATION * noise.max_abs < float("inf")
    unlike = (deviation.elsewhere and not noise.elsewhere) or (
        deviation.overflows and not noise.overflows
    )
    if beyond or unlike:
        return deviation
    return replace(deviation, max_rel=0.0, reacts=False, passed=True)


def _nudged(array: Array, rng: np.random.Generator) -> Array:
    if array.dtype.kind != "f":
        return array
    steps = rng.choice(np.array((-4, 4), dtype=array.dtype), array.shape)
    nudged: Array = array * (1 + np.finfo(array.dtype).eps * steps)
    return nudged
