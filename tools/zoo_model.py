"""One model of the zoo: pruned, proven, written, loaded again, run and timed."""

import resource
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from zoo_shares import measure_shares
from zoo_skeleton import name_of, read_model

import onnxprune as op
from onnxprune.coupling.analysis import Analysis
from onnxprune.errors import InternalError, OnnxPruneError, RuntimeFailureError
from onnxprune.runtime import Session
from onnxprune.verify.sessions import session_of
from onnxprune.verify.speed import compare_latency

PRUNED, NOTHING, REFUSED = "pruned", "nothing", "refused"
CANNOT_TELL, FAILED = "cannot tell", "FAILED"
STATUSES = (PRUNED, NOTHING, REFUSED, CANNOT_TELL, FAILED)

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_RECURRENT = ("LSTM", "GRU", "RNN")
_BUDGET_S = 1.0
_REFUSALS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Task:
    """What to do with one model.

    Attributes:
        path: a skeleton or an ONNX file.
        ratio: the fraction of channels to remove.
        keep: folder that pruned models are left in; None for none.
        speed: whether latencies are compared.
        confidence: of the latencies' intervals.
    """

    path: Path
    ratio: float
    keep: Path | None
    speed: bool
    confidence: float


@dataclass(slots=True)
class Row:
    """What came of one model; shares are of its parameters, in [0, 1].

    Attributes:
        name: the model.
        status: one of `STATUSES`.
        why: what stands behind a status other than pruned.
        parameters: of the original.
        convolutional: whether most multiply-accumulates are in convolutions, and no operator is
            recurrent.
        shares: what can be pruned, was before rounding, and could be: fields of `Shares`.
        removed: share of the file's parameters that was removed, widths rounded.
        equivalence: verdict, largest deviation, tensors compared and reacting.
        seconds: for reading, analysing, removing, verifying and saving.
        speed: ratio of the latencies, its interval, the noise floor, verdict, milliseconds.
        blocked: the largest refusals, with their share of the parameters.
        short: groups that lose less than the ratio before rounding, for want of channels.
        nodes: operators of the original.
        peak_mb: largest memory of the process.
    """

    name: str
    status: str = FAILED
    why: str = ""
    parameters: int = 0
    convolutional: bool = False
    shares: dict[str, float] = field(default_factory=dict)
    removed: float = 0.0
    equivalence: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    speed: dict[str, Any] = field(default_factory=dict)
    blocked: list[dict[str, Any]] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    nodes: int = 0
    peak_mb: int = 0


def examine(task: Task) -> Row:
    """Does everything with one model; its failures become the row's status.

    Faults of onnxprune itself, of any kind, are what the report is there to show: they end this
    model and are told in its row.
    """
    row = Row(name_of(task.path))
    try:
        _examine(task, row)
    except InternalError as error:
        row.status, row.why = FAILED, _line(error)
    except OnnxPruneError as error:
        row.status, row.why = REFUSED, _line(error)
    except Exception as error:  # a fault that would reach the user as a traceback
        row.status, row.why = FAILED, f"{type(error).__name__}: {error}"[:300]
    row.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return row


def _examine(task: Task, row: Row) -> None:
    proto = read_model(task.path)
    model = _timed(row, "load", lambda: op.load(proto))
    row.parameters, row.nodes = model.parameters, len(proto.graph.node)
    result = _timed(row, "run", lambda: op.prune(model, task.ratio))
    row.seconds |= result.seconds
    removal = result.removals[0]
    row.convolutional = is_convolutional(removal.analysis)
    shares, row.short = measure_shares(removal, task.ratio)
    row.shares = asdict(shares)
    row.removed = 1 - result.model.parameters / max(model.parameters, 1)
    row.blocked = [
        {"reason": r.reason, "node": r.node, "parameters": r.parameters / max(row.parameters, 1)}
        for r in result.refused[:_REFUSALS_SHOWN]
    ]
    if not result.is_pruned:
        row.status = NOTHING
        row.why = "; ".join(f"{b['reason']} ({b['parameters']:.0%})" for b in row.blocked)
        return
    _prove(result, row)
    row.seconds |= result.seconds
    if row.status != PRUNED:
        return
    _write(result, row, task.keep, proto)
    if row.status == PRUNED and task.speed:
        _compare_speed(result, row, task.confidence)


def is_convolutional(analysis: Analysis) -> bool:
    """Whether most multiply-accumulates are in convolutions, and no operator is recurrent."""
    inside = total = 0
    for placed in analysis.placed:
        if placed.node.op_type in _RECURRENT:
            return False
        if placed.operator is not None:
            macs = placed.operator.mac_count(placed.site, {})
            total += macs
            inside += macs if placed.node.op_type in _CONVOLUTIONS else 0
    return inside > total / 2


def _prove(result: op.Result, row: Row) -> None:
    try:
        verdict = result.verify(check=False)
    except RuntimeFailureError as error:
        row.status, row.why = FAILED, f"verification: {_line(error)}"
        if not _runs(result):
            row.status, row.why = CANNOT_TELL, f"the original does not run: {_line(error)}"
        return
    row.equivalence = {
        "verdict": verdict.verdict,
        "max_rel": verdict.max_rel,
        "max_rel_reacting": max((d.max_rel for d in verdict.deviations if d.reacts), default=0.0),
        "max_abs": verdict.max_abs,
        "worst": verdict.worst,
        "compared": verdict.compared,
        "reacting": verdict.reacting,
    }
    if verdict.verdict == "passed":
        row.status = PRUNED
    else:
        row.status = FAILED if verdict.verdict == "failed" else CANNOT_TELL
        row.why = f"{verdict.why} (worst {verdict.worst}: {verdict.max_rel:.2g})"


def _runs(result: op.Result) -> bool:
    try:
        with session_of(result.original) as session:
            session.run(result.feeds(count=1)[0])
    except RuntimeFailureError:
        return False
    return True


def _write(result: op.Result, row: Row, keep: Path | None, original: onnx.ModelProto) -> None:
    """Saves the pruned model and reads, checks and runs the file, as its user would."""
    with tempfile.TemporaryDirectory(prefix="zoo-report-") as scratch:
        path = (keep or Path(scratch)) / f"{row.name}.onnx"
        _timed(row, "save", lambda: result.model.save(path))
        op.load(path)
        fault = _fault(str(path))
        if fault and not _fault(original.SerializeToString()):
            row.status, row.why = FAILED, f"the checker rejects the file: {fault}"
            return
        try:
            outputs = Session(path).run(result.feeds(count=1)[0])
        except RuntimeFailureError as error:
            row.status, row.why = FAILED, f"the file does not run: {_line(error)}"
            return
    broken = [
        name
        for name, array in outputs.items()
        if array.dtype.kind == "f" and not np.isfinite(array).all()
    ]
    if broken:
        row.why = f"not finite: {', '.join(broken)}"


def _fault(model: str | bytes) -> str:
    """What the checker says of a model; empty if it is content."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return str(error).splitlines()[0]
    return ""


def _compare_speed(result: op.Result, row: Row, confidence: float) -> None:
    feed = result.feeds(count=1, batch=1)[0]
    with (
        session_of(result.original, threads=1, optimization="all") as first,
        session_of(result.model, threads=1, optimization="all") as second,
    ):
        measured = compare_latency(first, second, feed, budget_s=_BUDGET_S, confidence=confidence)
    row.speed = {
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


def _timed(row: Row, part: str, work: Callable[[], Any]) -> Any:
    start = perf_counter()
    done = work()
    row.seconds[part] = perf_counter() - start
    return done


def _line(error: OnnxPruneError) -> str:
    parts = (error.message, error.where, error.why)
    return ": ".join(part.splitlines()[0] for part in parts if part)[:300]
