"""Equivalence of the surgery: pruned model against masked reference, tensor by tensor.

Every intermediate that survives in both is compared, each against its own variation over inputs:
deep networks forget, and a wrong permutation in the middle can vanish below rounding at the
output. A tensor that does not react to the input proves nothing; where too little reacts the
verdict is "cannot tell".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keep, axis_mask
from onnxprune.coupling.analysis import Analysis
from onnxprune.data.random import Feeds
from onnxprune.ir.graph import nodes
from onnxprune.ir.model import Model
from onnxprune.ir.probe import with_outputs
from onnxprune.verify.reference import masked_reference, value_mask
from onnxprune.verify.sessions import session_of
from onnxprune.verify.tolerance import tolerance_of

MUTE = 1e-4
"""A tensor whose variation is below this share of its size does not react."""
FETCH_BYTES = 256 << 20
"""Intermediates are fetched in portions of about this size."""
REACTING_SHARE = 0.3
"""Fewer reacting tensors than this prove nothing."""

SUSPECT = 0.5
"""Deviations below this share of a tensor's variation may be rounding that was amplified."""
AMPLIFICATION = 20.0
"""They are, if they are at most so many times what a nudge of the input's last bits does."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Deviation:
    """How one tensor differs between two models.

    Attributes:
        name: the value.
        max_abs: largest absolute deviation.
        max_rel: that, as a share of the tensor's variation over inputs (of its size, if it does
            not vary).
        reacts: whether it varies with the input.
        passed: whether the deviation is within tolerance.
    """

    name: str
    max_abs: float
    max_rel: float
    reacts: bool
    passed: bool


@dataclass(slots=True)
class Equivalence:
    """The verdict on one removal.

    Attributes:
        verdict: ``passed``, ``failed`` or ``cannot tell``.
        tolerance: the relative tolerance that was used, of the widest type met.
        compared: number of tensors compared.
        reacting: how many of them react to the input.
        max_abs: largest absolute deviation met.
        max_rel: largest deviation as a share of the tensor's variation.
        worst: the tensor with the largest relative deviation, the first that failed if one did.
        why: what makes the verdict, if it is not ``passed``.
    """

    verdict: str = "passed"
    tolerance: float = 0.0
    compared: int = 0
    reacting: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    worst: str = ""
    why: str = ""
    deviations: list[Deviation] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether equivalence was shown."""
        return self.verdict == "passed"


def check_equivalence(
    analysis: Analysis, keeps: Mapping[Dim, Keep], pruned: Model, feeds: Sequence[Feeds]
) -> Equivalence:
    """Compare a pruned model with the masked reference of the model it was made from.

    Args:
        analysis: of the canonical model before removal.
        keeps: what stays of each leaf.
        pruned: the model after removal.
        feeds: two sets of inputs or more, different from each other.
    """
    reference = masked_reference(analysis, keeps)
    names = shared_values(analysis, reference, pruned)
    taken = {name: _axes_taken(analysis, name, keeps) for name in names}
    batch = _scale(analysis, feeds)
    result = Equivalence()
    outputs = {info.name for info in pruned.proto.graph.output}
    types = analysis.canonical.facts.elem_types
    for portion in _portions(analysis, names, batch):
        first = _runs(reference, portion, types, feeds)
        second = _runs(pruned, portion, types, feeds)
        for name in portion:
            masked = [_take(run[name], taken[name]) for run in first]
            result.deviations.append(compare(name, masked, [run[name] for run in second]))
            for run in (*first, *second):
                del run[name]
    suspects = [d for d in result.deviations if not d.passed and d.max_rel < SUSPECT]
    if suspects:
        conditioned = _condition(reference, suspects, types, feeds)
        result.deviations = [conditioned.get(d.name, d) for d in result.deviations]
    _judge(result, outputs)
    return result


def _condition(
    reference: Model, suspects: Sequence[Deviation], types: dict[str, int], feeds: Sequence[Feeds]
) -> dict[str, Deviation]:
    """Judge small deviations against what rounding alone does to the reference.

    Some tensors amplify the last bit: a softmax over large logits, a chain of many layers. The
    reference runs once more with its inputs changed by a few units in the last place. What that
    changes by nearly as much as the deviation is rounding; and it proves nothing, so it no longer
    counts as reacting.
    """
    names = [d.name for d in suspects]
    plain = _runs(reference, names, types, feeds[:1])[0]
    nudged = _runs(reference, names, types, [_nudged(feeds[0])])[0]
    judged = {}
    for d in suspects:
        noise = _largest(plain[d.name].astype(np.float64), nudged[d.name].astype(np.float64))
        if d.max_abs <= AMPLIFICATION * noise:
            judged[d.name] = Deviation(d.name, d.max_abs, d.max_rel, False, True)
    return judged


def _nudged(feed: Feeds) -> Feeds:
    rng = np.random.default_rng(0)
    return {
        name: array
        * (1 + 4 * np.finfo(array.dtype).eps * rng.choice((-1, 1), array.shape)).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in feed.items()
    }


def check_outputs(original: Model, other: Model, feeds: Sequence[Feeds]) -> Equivalence:
    """Compare the outputs of two models that must compute the same."""
    result = Equivalence()
    with session_of(original) as first, session_of(other) as second:
        one, two = ([session.run(feed) for feed in feeds] for session in (first, second))
    for name in one[0]:
        result.deviations.append(compare(name, [r[name] for r in one], [r[name] for r in two]))
    _judge(result, set(one[0]))
    return result


def shared_values(analysis: Analysis, reference: Model, pruned: Model) -> list[str]:
    """Values that are computed from the input in both models, in graph order.

    Lists of sizes are left out: the masked reference has the original's sizes.
    """
    made, known = (
        {name for node in nodes(model.proto) for name in node.outputs}
        for model in (pruned, reference)
    )
    return [
        name
        for placed in analysis.placed
        if placed.operator is None or not placed.operator.tells_sizes
        for name in placed.node.outputs
        if name and name in made and name in known and name not in analysis.sources
    ]


def compare(name: str, reference: Sequence[Array], pruned: Sequence[Array]) -> Deviation:
    """Compare one tensor over several inputs.

    Args:
        name: the value.
        reference: one array for each input.
        pruned: likewise.
    """
    if any(a.shape != b.shape for a, b in zip(reference, pruned, strict=True)):
        return Deviation(name, float("inf"), float("inf"), True, False)
    if reference[0].dtype.kind in "biu" or reference[0].dtype.kind not in "fV":
        return _compare_exact(name, reference, pruned)
    tolerance = tolerance_of(reference[0].dtype)
    wide = [array.astype(np.float64) for array in reference]
    other = [array.astype(np.float64) for array in pruned]
    if any(not np.array_equal(np.isnan(a), np.isnan(b)) for a, b in zip(wide, other, strict=True)):
        return Deviation(name, float("inf"), float("inf"), True, False)
    error = max(_largest(a, b) for a, b in zip(wide, other, strict=True))
    spread = max((_rms(_finite(wide[0]) - _finite(array)) for array in wide[1:]), default=0.0)
    size = max(_rms(array) for array in wide)
    peak = max((float(np.abs(_finite(array)).max(initial=0.0)) for array in wide), default=0.0)
    reacts = spread > MUTE * size
    bound = max(tolerance.relative * spread if reacts else 0.0, tolerance.floor * peak)
    scale = spread if reacts else peak
    relative = error / scale if scale > 0 else (0.0 if error == 0 else float("inf"))
    return Deviation(name, error, relative, reacts, error <= bound)


def _compare_exact(name: str, reference: Sequence[Array], pruned: Sequence[Array]) -> Deviation:
    """Integers and truth values: a comparison near its threshold may flip here and there."""
    wrong = max(
        float(np.mean(a != b)) if a.size else 0.0 for a, b in zip(reference, pruned, strict=True)
    )
    reacts = any(not np.array_equal(reference[0], other) for other in reference[1:])
    return Deviation(name, wrong, wrong, reacts, wrong <= 1e-3)


def _largest(a: Array, b: Array) -> float:
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    difference = np.where(same, 0.0, np.abs(np.where(same, 0.0, a) - np.where(same, 0.0, b)))
    return float(difference.max(initial=0.0))


def _finite(array: Array) -> Array:
    return np.where(np.isfinite(array), array, 0.0)


def _rms(array: Array) -> float:
    finite = _finite(array)
    return float(np.sqrt(np.mean(np.square(finite)))) if array.size else 0.0


def _judge(result: Equivalence, outputs: set[str]) -> None:
    deviations = result.deviations
    result.compared = len(deviations)
    result.reacting = sum(d.reacts for d in deviations)
    result.max_abs = max((d.max_abs for d in deviations), default=0.0)
    result.max_rel = max((d.max_rel for d in deviations), default=0.0)
    result.tolerance = tolerance_of(np.dtype(np.float32)).relative
    failed = [d for d in deviations if not d.passed]
    worst = failed[0] if failed else max(deviations, key=lambda d: d.max_rel, default=None)
    result.worst = worst.name if worst else ""
    if failed:
        result.verdict = "failed"
        result.why = f"{len(failed)} of {len(deviations)} tensors differ, first {failed[0].name}"
    elif not any(d.reacts for d in deviations if d.name in outputs):
        result.verdict = "cannot tell"
        result.why = "no output reacts to the input"
    elif result.reacting < REACTING_SHARE * len(deviations):
        result.verdict = "cannot tell"
        result.why = f"only {result.reacting} of {len(deviations)} tensors react to the input"


def _axes_taken(
    analysis: Analysis, name: str, keeps: Mapping[Dim, Keep]
) -> dict[int, npt.NDArray[np.intp]]:
    value = analysis.values.get(name)
    if value is None or value_mask(value, keeps) is None:
        return {}
    masks = {axis: axis_mask(dim, keeps) for axis, dim in enumerate(value.dims)}
    return {axis: np.flatnonzero(mask) for axis, mask in masks.items() if not mask.all()}


def _take(array: Array, axes: Mapping[int, npt.NDArray[np.intp]]) -> Array:
    for axis, indices in axes.items():
        array = np.take(array, indices, axis=axis)
    return array


def _scale(analysis: Analysis, feeds: Sequence[Feeds]) -> float:
    """How much larger the run's tensors are than those of the analysed binding."""
    bound = analysis.canonical.inputs
    fed = sum(array.size for array in feeds[0].values())
    analysed = sum(prod(bound[name]) for name in feeds[0] if name in bound)
    return fed / max(analysed, 1)


def _portions(analysis: Analysis, names: Sequence[str], scale: float) -> Iterator[list[str]]:
    portion: list[str] = []
    used = 0.0
    for name in names:
        value = analysis.values.get(name)
        size = prod(value.shape if value is not None else ()) * 4 * scale
        if portion and used + size > FETCH_BYTES:
            yield portion
            portion, used = [], 0.0
        portion.append(name)
        used += size
    if portion:
        yield portion


def _runs(
    model: Model, names: Sequence[str], types: dict[str, int], feeds: Sequence[Feeds]
) -> list[dict[str, Array]]:
    with session_of(with_outputs(model, names, types)) as session:
        return [session.run(feed, names) for feed in feeds]
