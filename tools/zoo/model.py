"""One model of the zoo: pruned, proven, written, loaded again, run and timed."""

import resource
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from failures import line_of
from zoo.blocked import Blocks, Cause, causes
from zoo.reach import Reach, reach_of
from zoo.shares import Shares, measure_shares, weigh
from zoo.skeleton import name_of, read_model
from zoo.variants import Variant

import onnxprune as op
from onnxprune.cost.macs import count_macs
from onnxprune.errors import InternalError, OnnxPruneError, RuntimeFailureError
from onnxprune.passes import FoldConstants, FoldEmpty, RemoveChannels
from onnxprune.passes.work import Removal
from onnxprune.runtime import Optimization, Session
from onnxprune.verify.sessions import session_of
from onnxprune.verify.speed import compare_latency

PRUNED, NOTHING, REFUSED = "pruned", "nothing", "refused"
CANNOT_TELL, FAILED = "cannot tell", "FAILED"
STATUSES = (PRUNED, NOTHING, REFUSED, CANNOT_TELL, FAILED)

_BUDGET_S = 1.0
_CAUSES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Task:
    """What to do with one model.

    Attributes:
        path: a skeleton or an ONNX file.
        settings: what to prune it with, one after the other.
        variant: what is done to it before.
        keep: folder that pruned models are left in; None for none.
        made: folder that variants are left in; None for none.
        speed: whether latencies are compared.
        confidence: of the latencies' intervals.
    """

    path: Path
    settings: tuple[RemoveChannels, ...]
    variant: Variant
    keep: Path | None
    made: Path | None
    speed: bool
    confidence: float


@dataclass(slots=True)
class Pruning:
    """What came of one model with one ratio and scope.

    Attributes:
        ratio: the fraction of channels to remove.
        scope: what they are ranked with.
        status: one of `STATUSES`.
        why: what stands behind a status other than pruned.
        removed: share of the file's parameters that was removed, widths rounded, in [0, 1].
        macs: share of the multiply-accumulates that is left.
        shares: what was removed before rounding, and could be.
        short: free groups that keep more before rounding than they need.
        equivalence: verdict, largest deviation, tensors compared and reacting.
        seconds: for analysing, removing, verifying and saving.
        speed: ratio of the latencies, its interval, the noise floor, verdict, milliseconds.
    """

    ratio: float
    scope: str
    status: str = FAILED
    why: str = ""
    removed: float = 0.0
    macs: float = 1.0
    shares: Shares | None = None
    short: list[str] = field(default_factory=list)
    equivalence: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    speed: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Ratio and scope in words."""
        return f"{self.scope} {self.ratio:g}"


@dataclass(slots=True)
class Row:
    """What came of one model.

    Attributes:
        name: the model.
        prunings: one for each of the task's settings.
        parameters: of the original.
        weights: numbers in the weights of its canonical form, quantized ones included.
        touched: share of these that is in weights that an offered group touches, in [0, 1].
        causes: why the others stay as they are, most parameters first.
        nodes: operators of the original.
        reach: what of it can be pruned, and its original's, if it is a variant.
        load_s: seconds to read it.
        peak_mb: largest memory of the process.
    """

    name: str
    prunings: list[Pruning]
    parameters: int = 0
    weights: int = 0
    touched: float = 0.0
    causes: list[Cause] = field(default_factory=list)
    nodes: int = 0
    reach: tuple[Reach, Reach] | None = None
    load_s: float = 0.0
    peak_mb: int = 0

    def share(self, *sorts: str) -> float:
        """Returns the share of the weights that is out of reach for reasons of some sorts."""
        sizes = (cause.parameters for cause in self.causes if cause.sort in sorts)
        return sum(sizes) / max(self.weights, 1)


class _NoVariantError(Exception):
    """The variant of a model cannot be made, which is no fault of onnxprune."""


def examine(task: Task) -> Row:
    """Does everything with one model; its failures become the row's statuses."""
    row = new_row(task)
    with _telling(row.prunings):
        start = perf_counter()
        proto = _read(task)
        model = op.load(proto)
        row.load_s = perf_counter() - start
        row.parameters, row.nodes = model.parameters, len(proto.graph.node)
        for settings, pruning in zip(task.settings, row.prunings, strict=True):
            with _telling([pruning]):
                _examine(task, settings, model, row, pruning)
    row.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return row


def new_row(task: Task, why: str = "") -> Row:
    """Returns a row in which nothing has come of anything yet."""
    prunings = [Pruning(s.ratio, s.scope, why=why) for s in task.settings]
    return Row(name_of(task.path), prunings)


@contextmanager
def _telling(prunings: Iterable[Pruning]) -> Iterator[None]:
    """Turns an error into the status of prunings.

    Faults of onnxprune itself, of any kind, are what the report is there to show.
    """
    try:
        yield
        return
    except _NoVariantError as error:
        status, why = CANNOT_TELL, str(error)
    except InternalError as error:
        status, why = FAILED, line_of(error)
    except OnnxPruneError as error:
        status, why = REFUSED, line_of(error)
    except Exception as error:  # a fault that would reach the user as a traceback
        status, why = FAILED, line_of(error)
    for pruning in prunings:
        pruning.status, pruning.why = status, why


def _read(task: Task) -> onnx.ModelProto:
    try:
        return task.variant.cached(read_model(task.path), name_of(task.path), task.made)
    except Exception as error:  # whatever the converter raises
        raise _NoVariantError(f"no such variant: {error}"[:300]) from error


def _examine(
    task: Task, settings: RemoveChannels, model: op.Model, row: Row, pruning: Pruning
) -> None:
    result = op.Pipeline([FoldConstants(), settings, FoldEmpty()]).run(model)
    pruning.seconds |= result.seconds
    pruning.removed = 1 - result.model.parameters / max(model.parameters, 1)
    removal = result.removals[0]
    whole = count_macs(removal.analysis)
    pruning.macs = count_macs(removal.analysis, removal.keeps) / whole if whole else 1.0
    _measure(task, removal, settings, row, pruning)
    if not result.is_pruned:
        pruning.status = NOTHING
        pruning.why = "; ".join(cause.reason for cause in row.causes[:_CAUSES_SHOWN])
        return
    _prove(result, pruning)
    pruning.seconds |= result.seconds
    if pruning.status == PRUNED:
        _write(result, pruning, task.keep, row.name)
    if pruning.status == PRUNED and task.speed:
        _compare_speed(result, pruning, task.confidence)


def _measure(
    task: Task, removal: Removal, settings: RemoveChannels, row: Row, pruning: Pruning
) -> None:
    blocks = Blocks(removal.analysis)
    row.weights, row.touched = weigh(removal)
    row.causes = causes(removal, blocks)
    pruning.shares, pruning.short = measure_shares(removal, settings, blocks)
    if str(task.variant) and row.reach is None:
        original = reach_of(read_model(task.path), settings)
        row.reach = (Reach.of(removal, settings.ratio), original)


def _prove(result: op.Result, pruning: Pruning) -> None:
    try:
        verdict = result.verify(check=False)
    except RuntimeFailureError as error:
        pruning.status, pruning.why = FAILED, f"verification: {line_of(error)}"
        if not _runs(result):
            pruning.status = CANNOT_TELL
            pruning.why = f"the original does not run: {line_of(error)}"
        return
    pruning.equivalence = {
        "verdict": verdict.verdict,
        "max_rel": verdict.max_rel,
        "max_rel_reacting": max((d.max_rel for d in verdict.deviations if d.reacts), default=0.0),
        "max_abs": verdict.max_abs,
        "worst": verdict.worst,
        "compared": verdict.compared,
        "reacting": verdict.reacting,
    }
    if verdict.verdict == "passed":
        pruning.status = PRUNED
    else:
        pruning.status = FAILED if verdict.verdict == "failed" else CANNOT_TELL
        pruning.why = f"{verdict.why} (worst {verdict.worst}: {verdict.max_rel:.2g})"


def _runs(result: op.Result) -> bool:
    try:
        with session_of(result.original) as session:
            session.run(result.feeds(count=1)[0])
    except RuntimeFailureError:
        return False
    return True


def _write(result: op.Result, pruning: Pruning, keep: Path | None, name: str) -> None:
    """Saves the pruned model and reads, checks and runs the file, as its user would."""
    with tempfile.TemporaryDirectory(prefix="zoo-report-") as scratch:
        path = (keep or Path(scratch)) / f"{name}.{pruning.scope}-{pruning.ratio:g}.onnx"
        start = perf_counter()
        result.model.save(path)
        pruning.seconds["save"] = perf_counter() - start
        op.load(path)
        fault = _fault(str(path))
        if fault and not _fault(result.original.to_bytes()):
            pruning.status, pruning.why = FAILED, f"the checker rejects the file: {fault}"
            return
        try:
            outputs = Session(path, optimization=_level(result)).run(result.feeds(count=1)[0])
        except RuntimeFailureError as error:
            pruning.status, pruning.why = FAILED, f"the file does not run: {line_of(error)}"
            return
    broken = [
        name
        for name, array in outputs.items()
        if array.dtype.kind == "f" and not np.isfinite(array).all()
    ]
    if broken:
        pruning.why = f"not finite: {', '.join(broken)}"


def _level(result: op.Result) -> Optimization:
    """The level of optimization that ONNX Runtime can bear: it trips over some of its own files."""
    try:
        with session_of(result.original, optimization="all"):
            return "all"
    except RuntimeFailureError:
        return "none"


def _fault(model: str | bytes) -> str:
    """What the checker says of a model; empty if it is content."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return str(error).splitlines()[0]
    return ""


def _compare_speed(result: op.Result, pruning: Pruning, confidence: float) -> None:
    feed = result.feeds(count=1, batch=1)[0]
    level = _level(result)
    with (
        session_of(result.original, threads=1, optimization=level) as first,
        session_of(result.model, threads=1, optimization=level) as second,
    ):
        measured = compare_latency(first, second, feed, budget_s=_BUDGET_S, confidence=confidence)
    pruning.speed = {
        "ratio": measured.ratio,
        "low": measured.low,
        "high": measured.high,
        "noise_low": measured.noise_low,
        "noise_high": measured.noise_high,
        "verdict": measured.verdict,
        "original_ms": measured.original.p50_ms,
        "pruned_ms": measured.pruned.p50_ms,
        "pairs": measured.pairs,
    }
