"""Equivalence of the surgery: pruned model against masked reference, tensor by tensor.

Every intermediate that survives in both is compared, each against its own variation over inputs:
deep networks forget, and a wrong permutation in the middle can vanish below rounding at the
output. A tensor that does not react to the input proves nothing; where too little reacts, or a
branch that lost channels never runs, the verdict is "cannot tell". Behind quantized values both
models go on with those of the reference (`verify/pins.py`). Tables are compared as they are, for
the inputs look up some of their rows only.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from onnxprune.axes import Dim, Keep, is_touched
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.ports import kept_of_ports
from onnxprune.coupling.rebinding import rebound
from onnxprune.data.narrow import hidden, narrowed
from onnxprune.data.random import Feeds
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.exposure import ABSENT, exposable, mark_of
from onnxprune.ir.graph import uses
from onnxprune.ir.model import Model
from onnxprune.ir.probe import with_outputs
from onnxprune.progress import counted, expect
from onnxprune.runtime import Session
from onnxprune.verify.deviation import TOLERANCES, Array, Deviation, compare
from onnxprune.verify.pins import Pins, rounded_values
from onnxprune.verify.reference import masked_reference
from onnxprune.verify.rounding import excuse_rounding
from onnxprune.verify.sessions import session_of
from onnxprune.verify.taken import Taken, axes_taken, take
from onnxprune.verify.tolerance import Tolerances
from onnxprune.verify.unseen import compare_unseen

_LOG = logging.getLogger(__name__)

FETCH_BYTES = 512 << 20
"""Intermediates are fetched in portions of about this size."""
RUNS = 4
"""So often do models run in a comparison, as a rule: two of them, on two sets of inputs."""
Runs = tuple[str, list[tuple[Array, Array]]]
"""A value, and what both models have there for each set of inputs."""
REACTING_SHARE = 0.3
"""Fewer reacting tensors than this prove nothing."""


@dataclass(slots=True)
class Equivalence:
    """The verdict on one removal.

    Attributes:
        finding: ``passed``, ``failed`` or ``cannot tell``, of the tensors that were compared.
        tolerance: the relative tolerance that was used, of the widest type met.
        compared: number of tensors compared.
        reacting: how many of them react to the input.
        max_abs: largest absolute deviation met.
        max_rel: largest deviation as a share of the tensor's variation; see `Deviation`.
        worst: the tensor with the largest relative deviation, the first that failed if one did.
        reason: what makes the finding, if it is not ``passed``.
        unreached: bodies of control flow that lost channels and never ran.
    """

    finding: str = "passed"
    tolerance: float = 0.0
    compared: int = 0
    reacting: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    worst: str = ""
    reason: str = ""
    deviations: list[Deviation] = field(default_factory=list[Deviation])
    unreached: tuple[str, ...] = ()

    def joined(self, other: Equivalence) -> Equivalence:
        """The worse of two findings on the same removal, with the larger deviations of both.

        A body is reached if one of the two reached it.
        """
        order = ("passed", "cannot tell", "failed")
        worse, better = sorted((self, other), key=lambda v: -order.index(v.finding))
        deviant = max((self, other), key=lambda verdict: verdict.max_rel)
        return replace(
            worse,
            compared=max(self.compared, other.compared),
            reacting=min(self.reacting, other.reacting),
            max_abs=max(self.max_abs, other.max_abs),
            max_rel=deviant.max_rel,
            worst=worse.worst if better.finding != worse.finding else deviant.worst,
            unreached=tuple(body for body in self.unreached if body in other.unreached),
        )

    def after(self, earlier: Equivalence) -> Equivalence:
        """Of two findings that passed, on one removal after another: the larger proof for both."""
        larger = max((earlier, self), key=lambda verdict: verdict.compared)
        deviant = max((earlier, self), key=lambda verdict: verdict.max_rel)
        return replace(
            larger,
            max_abs=max(earlier.max_abs, self.max_abs),
            max_rel=deviant.max_rel,
            worst=deviant.worst,
        )

    @property
    def verdict(self) -> str:
        """``passed``, ``failed`` or ``cannot tell``."""
        return "cannot tell" if self.finding == "passed" and self.unreached else self.finding

    @property
    def why(self) -> str:
        """What makes the verdict, if it is not ``passed``."""
        if self.finding == "passed" and self.unreached:
            body = self.unreached[0]
            return f"no input made {body} run, which lost channels; feed some, or ignore it"
        return self.reason

    @property
    def passed(self) -> bool:
        """Whether equivalence was shown."""
        return self.verdict == "passed"


def check_equivalence(
    analysis: Analysis,
    keeps: Mapping[Dim, Keep],
    pruned: Model,
    feeds: Sequence[Feeds],
    tolerances: Tolerances = TOLERANCES,
) -> Equivalence:
    """Compare a pruned model with the masked reference of the model it was made from.

    Args:
        analysis: of the canonical model before removal.
        keeps: what stays of each leaf.
        pruned: the model after removal.
        feeds: two sets of inputs of the model before removal or more, different from each other,
            of the same shapes.
        tolerances: how far tensors may be apart.
    """
    fed = {name: array.shape for name, array in feeds[0].items()}
    analysis, keeps = rebound(analysis, keeps, fed)
    reference = masked_reference(analysis, keeps)
    ports = kept_of_ports(analysis.ports, keeps)
    masked_feeds = [hidden(feed, ports) for feed in feeds]
    pruned_feeds = [narrowed(feed, ports) for feed in feeds]
    names = shared_values(analysis, reference, pruned)
    inside = exposable(pruned.proto)
    taken = {name: axes_taken(analysis, name, keeps, inside.get(name, 0)) for name in names}
    portions = [*_portions(analysis, names, _scale(analysis, feeds))]
    result = Equivalence()
    outputs = {info.name for info in pruned.proto.graph.output}
    types = analysis.canonical.facts.elem_types
    marks = {mark_of(body): body for body in _bodies_that_lost(analysis, keeps)}
    with ExitStack() as stack:
        first = stack.enter_context(session_of(with_outputs(reference, names, types)))
        rounded = rounded_values(analysis, (name for name in names if name not in inside))
        pins = Pins.of(rounded, types, first, masked_feeds)
        cut = pins.changed(lambda name, array: take(array, taken[name]))
        try:
            second = stack.enter_context(session_of(cut.probe(pruned, [*names, *marks])))
            cut.run(second, pruned_feeds[0], 0, names[:1])
        except RuntimeFailureError as error:
            first.run(masked_feeds[0], names[:1])
            return Equivalence("failed", reason=f"only the masked reference runs: {error.why}")
        expect(2 * len(feeds) * len(portions) - RUNS)
        sides = _Sides(first, second, masked_feeds, pruned_feeds, cut)
        for portion in portions:
            result.deviations += _compared(sides.run(portion), taken, inside, tolerances)
        result.deviations = excuse_rounding(
            result.deviations, first, reference, masked_feeds, types, analysis, pins
        )
        unseen = compare_unseen(analysis, keeps, pruned, tolerances)
        result.deviations += [constant for constant in unseen if not constant.passed]
        passes = enumerate(pruned_feeds if marks else ())
        ran = [cut.run(second, feed, i, list(marks)) for i, feed in passes]
    result.unreached = tuple(
        body for mark, body in marks.items() if not any(run[mark].any() for run in ran)
    )
    reacting = {d.name for d in result.deviations if d.reacts}
    _judge(result, _shown(analysis, keeps, outputs, reacting), tolerances)
    _LOG.debug("compared %d tensors: %s %s", result.compared, result.verdict, result.why)
    return result


@dataclass(frozen=True, slots=True)
class _Sides:
    """The masked reference and the pruned model, loaded, with the inputs of each.

    Attributes:
        first: the masked reference.
        second: the pruned model, as a probe of `cut`.
        masked_feeds: inputs of the first.
        pruned_feeds: of the second.
        cut: the values that the second is fed.
    """

    first: Session
    second: Session
    masked_feeds: Sequence[Feeds]
    pruned_feeds: Sequence[Feeds]
    cut: Pins

    def run(self, names: Sequence[str]) -> Iterator[Runs]:
        """Run both on all inputs; hand out values one by one, and hold those of one no longer."""
        masked = [self.first.run(feed, names) for feed in counted(self.masked_feeds)]
        feeds = enumerate(counted(self.pruned_feeds))
        pruned = [self.cut.run(self.second, feed, place, names) for place, feed in feeds]
        for name in names:
            yield name, [(a.pop(name), b.pop(name)) for a, b in zip(masked, pruned, strict=True)]


def _compared(
    runs: Iterable[Runs],
    taken: Mapping[str, Sequence[Taken]],
    inside: Collection[str],
    tolerances: Tolerances,
) -> Iterator[Deviation]:
    """Compare values of both models; not those inside branches that neither of them took."""
    for name, pairs in runs:
        both = [(a, b) for a, b in pairs if name not in inside or not a.shape == b.shape == ABSENT]
        if both:
            masked = [take(a, taken[name]) for a, _ in both]
            yield compare(name, masked, [b for _, b in both], tolerances)


def _shown(
    analysis: Analysis, keeps: Mapping[Dim, Keep], outputs: Collection[str], reacting: set[str]
) -> bool:
    """Whether some output is known to be right.

    It reacts to the input; or it is computed, from tensors that do, by operators of which nothing
    was removed, so that it is the same in both models if those are.
    """
    makers = {name: placed for placed in analysis.placed for name in placed.node.outputs}

    def is_right(name: str) -> bool:
        if name in reacting:
            return True
        placed = makers.get(name)
        if placed is None or placed.node.bodies:
            return placed is None
        operands = (value for value in placed.site.operands if value is not None)
        if any(is_touched(dim, keeps) for value in operands for dim in value.dims):
            return False
        sources = [x for x in placed.node.inputs if x and x not in analysis.sources]
        return bool(sources) and all(is_right(source) for source in sources)

    return any(is_right(name) for name in outputs)


def _bodies_that_lost(analysis: Analysis, keeps: Mapping[Dim, Keep]) -> list[str]:
    """The bodies of control flow in which something was removed."""
    lost: dict[str, None] = {}
    for placed in analysis.placed:
        values = (value for value in placed.site.operands if value is not None)
        dims = (dim for value in values for dim in value.dims) if placed.node.within else ()
        if any(is_touched(dim, keeps) for dim in dims):
            lost[placed.node.within] = None
    return list(lost)


def check_outputs(
    original: Model,
    other: Model,
    feeds: Sequence[Feeds],
    types: Mapping[str, int] | None = None,
    tolerances: Tolerances = TOLERANCES,
) -> Equivalence:
    """Compare the outputs of two models that must compute the same.

    Args:
        original: a model.
        other: the other one.
        feeds: inputs of both.
        types: element type by value name of both, as far as it is known.
        tolerances: how far outputs may be apart.
    """
    result = Equivalence()
    with session_of(original) as first, session_of(other) as second:
        expect(2 * len(feeds) - RUNS)
        one, two = ([session.run(feed) for feed in counted(feeds)] for session in (first, second))
        for name in one[0]:
            before, after = ([run[name] for run in runs] for runs in (one, two))
            result.deviations.append(compare(name, before, after, tolerances))
        result.deviations = excuse_rounding(result.deviations, first, original, feeds, types or {})
    _judge(result, any(deviation.reacts for deviation in result.deviations), tolerances)
    return result


def shared_values(analysis: Analysis, reference: Model, pruned: Model) -> list[str]:
    """Values that are computed from the input in both models, in graph order.

    Lists of sizes are left out: the masked reference has the original's sizes. So is what neither
    of the models reads, such as the running statistics of a normalisation, which ONNX Runtime
    writes over those given, so that they depend on how often it ran. Of the bodies of control flow
    there are the values that can be brought out (`ir/exposure.py`).
    """
    facts = analysis.canonical.facts
    hidden = analysis.sources.keys() | analysis.canonical.sizes
    made, known = (
        {name for node in model.proto.graph.node for name in node.output if name}
        | (exposable(model.proto).keys() & analysis.values.keys())
        for model in (pruned, reference)
    )
    read = uses(reference.proto.graph).keys() | uses(pruned.proto.graph).keys()
    shown = made & known & read - facts.containers
    return [
        name
        for placed in analysis.placed
        if placed.operator is None or not placed.operator.tells_sizes
        for name in placed.node.outputs
        if name in shown and name not in hidden
    ]


def _judge(result: Equivalence, shown: bool, tolerances: Tolerances) -> None:
    deviations = result.deviations
    result.compared = len(deviations)
    result.reacting = sum(d.reacts for d in deviations)
    result.max_abs = max((d.max_abs for d in deviations), default=0.0)
    result.max_rel = max((d.max_rel for d in deviations), default=0.0)
    result.tolerance = tolerances.of(np.dtype(np.float32)).relative
    failed = [d for d in deviations if not d.passed]
    worst = failed[0] if failed else max(deviations, key=lambda d: d.max_rel, default=None)
    result.worst = worst.name if worst else ""
    if failed:
        result.finding = "failed"
        result.reason = f"{len(failed)} of {len(deviations)} tensors differ, first {failed[0].name}"
    elif not shown:
        overflowing = next((f"; {d.name} overflows" for d in deviations if d.overflows), "")
        result.finding = "cannot tell"
        result.reason = f"no output reacts to the input{overflowing}"
    elif result.reacting < REACTING_SHARE * len(deviations):
        result.finding = "cannot tell"
        result.reason = f"only {result.reacting} of {len(deviations)} tensors react to the input"


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
