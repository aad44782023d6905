"""Backend cases in the middle of a network, pruned: the masked network, or blocked, and why."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

import numpy as np
from backend.cases import Case
from backend.running import session_over, unlike
from backend.wrapping import Wrapped, wrap
from failures import line_of

import onnxprune as op
from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import KINDS, Group, choose
from onnxprune.errors import OnnxPruneError, RuntimeFailureError
from onnxprune.passes import FoldConstants, FoldEmpty
from onnxprune.passes.work import PassReport, Removal, Work
from onnxprune.runtime import Session

PROVEN, BLOCKED, CANNOT_TELL = "proven", "blocked", "cannot tell"
NO_INPUT, REFUSED, FAILED = "no prunable input", "refused", "FAILED"
PRUNINGS = (PROVEN, BLOCKED, CANNOT_TELL, NO_INPUT, REFUSED, FAILED)
_DRAWS = 4
"""So often is something else removed where the inputs do not tell."""
_SINGLE = "its indices are told apart one by one"
_UNKNOWN = "its shape is not known"

Axis = tuple[str, int]
"""A value's name and one of its axes."""


@dataclass(slots=True)
class Pruning:
    """What came of a case in the middle of a network.

    Attributes:
        outcome: `PROVEN` if something was removed and all that was is proven; `BLOCKED` if every
            axis is, with a reason; `NO_INPUT` if no layer can stand around any input;
            `CANNOT_TELL` if the inputs do not say; `REFUSED` by onnxprune; or `FAILED`.
        why: what stands behind the last three.
        proven: how many axes of the case's inputs and outputs lost indices, and are proven.
        blocked: how many of them did not, by reason.
    """

    outcome: str
    why: str = ""
    proven: int = 0
    blocked: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class RemoveDrawn:
    """Remove half of the indices, drawn at random, of groups that do not exclude each other.

    Attributes:
        turn: what excludes each other has its turns; this is the one to take.
        seed: of the drawing.
    """

    name: ClassVar[str] = "remove-drawn"
    turn: int = 0
    seed: int = 0

    def run(self, work: Work) -> PassReport:
        """Replace the model by one without them."""
        analysis, groups = work.study()
        chosen = [group for turn in turns(groups)[self.turn :][:1] for group in turn]
        rng = np.random.default_rng(self.seed)
        keeps = {group.leaf: _drawn(group, rng) for group in chosen}
        work.take_out(analysis, groups, chosen, keeps)
        return PassReport(self.name, bool(keeps))


def turns(groups: Sequence[Group]) -> list[list[Group]]:
    """All groups, those that exclude each other in different lists."""
    left = [group for group in groups if group.size > 1]
    made: list[list[Group]] = []
    while left:
        made.append(choose(left, KINDS))
        left = [group for group in left if group not in made[-1]]
    return made


def _drawn(group: Group, rng: np.random.Generator) -> Keep:
    rows = 1 if group.over is None else group.over.size
    mask = np.tile(np.arange(group.size) >= group.size // 2, (rows, 1))
    mask = rng.permuted(mask, axis=1)
    return Keep(mask[0] if group.over is None else mask, group.over)


def examine_pruning(case: Case, held: bool) -> Pruning | None:
    """Prunes a case in the middle of a network; None if it has nothing that could be held.

    Args:
        case: a case that ONNX Runtime loads.
        held: whether all inputs but one are constants; see `wrap`.
    """
    session = session_over(case.model)
    try:
        wrapped = wrap(case, session, held)
    except RuntimeFailureError as error:
        return Pruning(CANNOT_TELL, f"the case does not run: {line_of(error)}")
    if wrapped is None:
        return None if held else Pruning(NO_INPUT)
    try:
        if why := _misled(case, session, wrapped):
            return Pruning(FAILED, f"the layers change the case: {why}")
        return _pruned(wrapped)
    except OnnxPruneError as error:
        return Pruning(REFUSED if error.exit_code == 3 else FAILED, line_of(error))


def _misled(case: Case, session: Session, wrapped: Wrapped) -> str:
    """How the network computes something else than the case does; "" if it does not."""
    if unlike(case, [session.run(case.sets[0][0])]):
        return ""
    found = session_over(wrapped.model).run(wrapped.sets[0])
    return unlike(case, [{wrapped.own_name(name): array for name, array in found.items()}])


def _pruned(wrapped: Wrapped) -> Pruning:
    """Removes indices of all groups, of those that exclude each other by turns."""
    model = op.load(wrapped.model)
    touched: set[Axis] = set()
    for turn in count():
        removal, doubt = _proven(model, wrapped, turn)
        if doubt is not None:
            return doubt
        touched |= set(_touched(removal, wrapped.names))
        if turn + 1 >= len(turns(removal.groups)):
            break
    blocked = Counter(_reasons(removal.analysis, wrapped.names, touched))
    if "" in blocked:
        return Pruning(FAILED, "an axis is neither blocked nor in any group")
    return Pruning(PROVEN if touched else BLOCKED, "", len(touched), dict(blocked))


def _proven(model: op.Model, wrapped: Wrapped, turn: int) -> tuple[Removal, Pruning | None]:
    """One turn: what was removed, and the doubt if it is not proven.

    Where too little is left to react to the inputs, something else is removed.
    """
    doubt: Pruning | None = None
    for draw in range(_DRAWS):
        steps = [FoldConstants(), RemoveDrawn(turn=turn, seed=draw), FoldEmpty()]
        result = op.Pipeline(steps).run(model)
        if not result.is_pruned:
            return result.removals[0], None
        verdict = result.verify(wrapped.sets, check=False)
        if verdict.passed:
            return result.removals[0], None
        outcome = FAILED if verdict.verdict == "failed" else CANNOT_TELL
        doubt = Pruning(outcome, f"{verdict.why} (worst {verdict.worst}: {verdict.max_rel:.2g})")
        if outcome == FAILED:
            break
    return result.removals[0], doubt


def _touched(removal: Removal, names: Sequence[str]) -> Iterator[Axis]:
    """The axes of some values that lost indices."""
    keeps: Mapping[Dim, Keep] = removal.keeps
    for name in names:
        value = removal.analysis.values.get(name)
        for axis, dim in enumerate(value.dims if value else ()):
            if any(leaf in keeps for leaf in dim.leaves()):
                yield name, axis


def _reasons(analysis: Analysis, names: Sequence[str], touched: set[Axis]) -> Iterator[str]:
    """Why the other axes lost none, one for each; "" if there is no reason."""
    for name in names:
        value = analysis.values.get(name)
        if value is None:
            yield _UNKNOWN
        for axis, dim in enumerate(value.dims if value else ()):
            if dim.size > 1 and (name, axis) not in touched:
                leaves = [leaf for leaf in dim.leaves() if leaf.size > 1]
                blocks = [leaf.block for leaf in dim.leaves() if leaf.block is not None]
                free = "" if leaves else _SINGLE
                yield analysis.space.cause(blocks[0]).reason if blocks else free
