"""What the proof says of mutants of a model, and of sound prunings."""

import tempfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import onnx
from failures import line_of
from mutation.arbiter import Arbiter
from mutation.kinds import KINDS
from mutation.subject import Draft, Site, Subject
from zoo.skeleton import SUFFIX, name_of, read_model

import onnxprune as op
from onnxprune.coupling.groups import DEFAULT_KINDS
from onnxprune.coupling.plan import Plan
from onnxprune.data.random import Feeds
from onnxprune.errors import OnnxPruneError, RuntimeFailureError
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.inputs import Inputs
from onnxprune.runtime import Session
from onnxprune.verify.equivalence import Equivalence
from onnxprune.verify.sessions import session_of

CAUGHT, MISSED, WITHIN, EQUIVALENT = "caught", "MISSED", "within tolerance", "equivalent"
CANNOT_TELL, INVALID, STOPPED = "cannot tell", "invalid", "STOPPED"
OUTCOMES = (CAUGHT, MISSED, WITHIN, EQUIVALENT, CANNOT_TELL, INVALID, STOPPED)
PASSED, FAILED, NOT_MADE = "passed", "FAILED", "not made"

KINDS_PRUNED = (*DEFAULT_KINDS, "head_dim")


@dataclass(frozen=True, slots=True)
class Setting:
    """How a model is pruned.

    Attributes:
        ratio: fraction of the channels that goes.
        scope: what they are ranked with.
        criterion: what says how much they matter.
        round_to: what widths are multiples of.
        steps: in how many steps.
        seed: of the criterion, and of the inputs of the proof.
        repair: whether what is left is fitted.
    """

    ratio: float
    scope: str = "uniform"
    criterion: str = "l2"
    round_to: int | str = 1
    steps: int = 1
    seed: int = 0
    repair: bool = False

    def prune(self, model: op.Model) -> op.Result:
        """Runs the pipeline."""
        return op.prune(
            model,
            self.ratio,
            scope=self.scope,
            criterion=self.criterion,
            round_to=self.round_to,
            steps=self.steps,
            seed=self.seed,
            repair=self.repair,
            kinds=KINDS_PRUNED,
        )


@dataclass(frozen=True, slots=True)
class Mutants:
    """What to do: mutants of one kind of one pruned model."""

    path: Path
    setting: Setting
    kind: str
    count: int
    seed: int
    keep: Path | None = None


@dataclass(slots=True)
class Mutant:
    """What came of one mutant.

    Attributes:
        model: that was pruned.
        kind: of the fault.
        where: it was put.
        outcome: one of `OUTCOMES`.
        why: what stands behind it.
        max_rel: largest deviation that the proof measured, as a share of a tensor's variation.
        difference: what the arbiter found, where it was asked.
    """

    model: str
    kind: str
    where: str
    outcome: str = INVALID
    why: str = ""
    max_rel: float = 0.0
    difference: dict[str, float | str] = field(default_factory=dict[str, float | str])


@dataclass(frozen=True, slots=True)
class Sound:
    """What the proof said of a sound pruning."""

    model: str
    setting: Setting
    verdict: str
    why: str = ""
    removed: float = 0.0
    max_rel: float = 0.0


class Bench:
    """A model, its pruning and the plan, as files; what mutants are made of and held against."""

    def __init__(self, path: Path, setting: Setting, folder: Path) -> None:
        """Prune a model and write all of it down."""
        self.name = name_of(path)
        self.folder, self._setting = folder, setting
        self._original, self._pruned = path, folder / "pruned.onnx"
        self._plan = folder / "plan.json"
        if path.name.endswith(SUFFIX):
            self._original = folder / "original.onnx"
            onnx.save(read_model(path), self._original)
        result = setting.prune(op.load(self._original))
        result.model.save(self._pruned)
        result.plan.save(self._plan)
        self.removed = 1 - result.model.parameters / max(result.original.parameters, 1)

    @cached_property
    def subject(self) -> Subject:
        """The pruned model as faults are put into it."""
        proto, plan = onnx.load(self._pruned), Plan.load(self._plan)
        return Subject(proto, op.load(self._original), plan, self._feeds[0])

    @cached_property
    def arbiter(self) -> Arbiter:
        """Of the pruned model."""
        return Arbiter(self._pruned, self._setting.seed)

    @cached_property
    def _feeds(self) -> list[Feeds]:
        """One set of inputs at each of two sizes."""
        inputs = Inputs(op.load(self._original), {}, seed=self._setting.seed)
        return [inputs.feeds(1, 2, variant)[0] for variant in (0, 1)]

    def verify(self, pruned: Path | None = None) -> Equivalence:
        """What `onnxprune verify ORIGINAL PRUNED --plan PLAN` does, all of it read from files."""
        model, plan = op.load(pruned or self._pruned), Plan.load(self._plan)
        seed = self._setting.seed
        return Comparison(op.load(self._original), model, {}, seed, plan).equivalence()

    def fault_of(self, path: Path) -> str:
        """Why a mutant cannot be used at all; "" if it loads, and runs at one size at least."""
        try:
            with session_of(op.load(path), quiet=True) as session:
                errors = [_error(session, feeds) for feeds in self._feeds]
        except OnnxPruneError as error:
            return line_of(error)
        return errors[0] if all(errors) else ""


def _error(session: Session, feeds: Feeds) -> str:
    try:
        session.run(feeds)
    except RuntimeFailureError as error:
        return line_of(error)
    return ""


@lru_cache(maxsize=1)
def _bench(path: Path, setting: Setting) -> tuple[Bench, tempfile.TemporaryDirectory[str]]:
    folder = tempfile.TemporaryDirectory(prefix="mutation-report-")
    return Bench(path, setting, Path(folder.name)), folder


def mutants(task: Mutants) -> list[Mutant]:
    """Makes mutants of one kind and has them judged; none where the kind has no place."""
    bench, _ = _bench(task.path, task.setting)
    sites = list(KINDS[task.kind](bench.subject))
    keys = (zlib.crc32(text.encode()) for text in (bench.name, task.kind))
    rng = np.random.default_rng([task.seed, *keys])
    chosen = rng.permutation(len(sites))[: task.count]
    return [_mutant(task, bench, sites[int(index)], rng) for index in chosen]


def _mutant(task: Mutants, bench: Bench, site: Site, rng: np.random.Generator) -> Mutant:
    draft = Draft(bench.subject.proto, rng)
    did = site.edit(draft)
    mutant = Mutant(bench.name, task.kind, f"{site.where}: {did}" if did else site.where)
    path = bench.folder / "mutant.onnx"
    onnx.save(draft.proto, path)
    mutant.why = bench.fault_of(path)
    if not mutant.why:
        _judge(mutant, bench, path)
    if task.keep is not None and mutant.outcome in (MISSED, STOPPED, CANNOT_TELL):
        name = f"{bench.name}.{task.kind.replace(' ', '-').replace(',', '')}.onnx"
        (task.keep / name).write_bytes(path.read_bytes())
    return mutant


def _judge(mutant: Mutant, bench: Bench, path: Path) -> None:
    try:
        verdict = bench.verify(path)
    except Exception as error:  # an error or a fault of verify's own: both are shown
        mutant.outcome, mutant.why = STOPPED, line_of(error)
        return
    mutant.max_rel = verdict.max_rel
    mutant.why = f"{verdict.why} (worst {verdict.worst}: {verdict.max_rel:.2g})"
    if verdict.verdict == "failed":
        mutant.outcome = CAUGHT
        return
    found = bench.arbiter.difference(path)
    mutant.difference = {name: getattr(found, name) for name in found.__slots__}
    if verdict.verdict != "passed":
        mutant.outcome = CANNOT_TELL
    elif found.is_none:
        mutant.outcome = EQUIVALENT
    else:
        mutant.outcome = MISSED if found.is_beyond else WITHIN


def sound(path: Path, setting: Setting) -> Sound:
    """Prunes a model by the pipeline, writes and reads it, and has it verified."""
    try:
        with tempfile.TemporaryDirectory(prefix="mutation-report-") as folder:
            bench = Bench(path, setting, Path(folder))
            if not bench.removed:
                return Sound(name_of(path), setting, NOT_MADE, "nothing was removed")
            verdict = bench.verify()
    except OnnxPruneError as error:
        return Sound(name_of(path), setting, NOT_MADE, line_of(error))
    word = FAILED if verdict.verdict == "failed" else verdict.verdict
    why = f"{verdict.why} (worst {verdict.worst})" if word != PASSED else ""
    return Sound(name_of(path), setting, word, why, bench.removed, verdict.max_rel)
