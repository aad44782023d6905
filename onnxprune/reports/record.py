"""The one record of a run: plain dicts, lists and numbers, which every report renders.

`start_record` describes what a pipeline did; the others add what was measured afterwards. The
record is the `--json` document: keys are added over time, none is taken away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from onnxprune.cost.macs import count_macs, macs_touched, parameters_touched
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.data.dataset import Dataset
from onnxprune.errors import NothingToPruneError, OnnxPruneError
from onnxprune.ir.difference import Difference
from onnxprune.ir.encode import compressed_bytes
from onnxprune.ir.model import Model
from onnxprune.passes.select.curve import Curve
from onnxprune.passes.work import Refusal, Sparsified
from onnxprune.pipelines.result import Result
from onnxprune.reports.groups import describe_groups
from onnxprune.reports.layers import describe_layers
from onnxprune.verify.equivalence import Equivalence
from onnxprune.verify.evaluation import Evaluation
from onnxprune.verify.fidelity import ERROR_EDGES, Fidelity
from onnxprune.verify.metrics import Score
from onnxprune.verify.speed import Latency, Speedup

SCHEMA = 1
"""Version of the record's format."""

_COMPRESSED = 1 << 28
"""Larger files are not compressed only to say how small they would be."""
RANDOM_INPUTS = "random (Gaussian) inputs tell little of real accuracy; give --data"
"""What it means to measure without data."""
CONFIDENCE = 0.95
"""Of the interval of a difference between two models."""

NOTHING_TO_PRUNE = "nothing-to-prune"
"""The status of a run that changed nothing, and wrote nothing."""
RATIOS_KEPT = 500
"""More pairs of runs than that are thinned out in the record."""
CURVE_KEPT = 200
"""More points of a budget's curve, likewise."""

Record = dict[str, Any]
"""A JSON object."""
T = TypeVar("T")


def start_record(result: Result, load_s: float) -> Record:
    """Describe the original, what a pipeline made of it, and what it left alone.

    Args:
        result: what the pipeline made.
        load_s: seconds that loading took.
    """
    original, pruned = describe_model(result.original), describe_model(result.model)
    pruned["parameters"] = result.proven.parameters
    original["size_bytes"] = result.original.size_bytes
    record: Record = {
        "schema": SCHEMA,
        "status": "pruned",
        "original": original,
        "pruned": pruned,
        "groups": {"total": 0, "pruned": 0},
        "blocks": [],
        "prunable": {"parameters": 0.0, "macs": 0.0},
        "blocked": [],
        "passes": [
            {"name": report.name, "did": list(report.did), "seconds": report.seconds}
            for report in result.reports
        ],
        "seconds": {"load": load_s, **_seconds(result)},
    }
    met = next((report for report in result.reports if report.curves), None)
    if met is not None:
        record["budget"] = [_describe_curve(curve) for curve in met.curves]
    if not result.removals:
        return record
    first, last = result.removals[0], result.removals[-1]
    sample = Sample.of(first.analysis)
    original["macs"] = sample.share(count_macs(first.analysis))
    made = result.proven.results if last.blocks else None
    record["layers"] = describe_layers(first.analysis, last.analysis, last.keeps, made)
    record["groups_list"] = describe_groups(result.removals)
    pruned["macs"] = sample.share(count_macs(last.analysis, last.keeps, made))
    record["blocks"] = [name for removal in result.removals for name in removal.blocks]
    first = next((removal for removal in result.removals if not removal.blocks), first)
    record["macs_at"] = sample.shapes
    record["unknown"] = first.analysis.unknown
    record["groups"] = {
        "total": len(first.groups),
        "pruned": max((len(r.keeps) for r in result.removals if not r.blocks), default=0),
    }
    record["prunable"] = {
        "parameters": ratio(
            parameters_touched(first.analysis, first.chosen), weights_total(first.analysis)
        ),
        "macs": ratio(macs_touched(first.analysis, first.chosen), count_macs(first.analysis)),
    }
    record["io"] = [
        {"name": name, "axis": axis, "kept": [int(index) for index in kept]}
        for name, axes in result.ports.items()
        for axis, kept in axes.items()
    ]
    record["blocked"] = blocked_entries(result.refused, weights_total(first.analysis))
    return record | _describe_weights(result)


def _describe_weights(result: Result) -> Record:
    """What became of weights that are new on purpose: fitted, or zero."""
    record: Record = {}
    fitted = [removal.repaired for removal in result.removals if removal.repaired]
    if fitted:
        record["repair"] = {
            "layers": sum(repaired.layers for repaired in fitted),
            "samples": fitted[-1].samples,
            "deviation": {"before": fitted[-1].before, "after": fitted[-1].after},
        }
    zeros = [removal.sparsified for removal in result.removals if removal.sparsified]
    if zeros:
        record["sparsity"] = _describe_zeros(zeros[-1], result.model)
    return record


def _describe_curve(curve: Curve) -> Record:
    points = thinned(curve.points, CURVE_KEPT)
    return {
        "quantity": curve.quantity,
        "limit": curve.limit,
        "curve": [{"left": left, "loss": loss} for left, loss in points],
    }


def _describe_zeros(found: Sparsified, model: Model) -> Record:
    """The weights that were made zero, and what the file is without its redundancy."""
    return {
        "weights": found.total,
        "zeros": found.zeros,
        "layers": found.layers,
        "method": found.method,
        "samples": found.samples,
        "deviation": found.deviation,
        "compressed_bytes": compressed_bytes(model) if model.size_bytes < _COMPRESSED else None,
    }


def describe_model(model: Model) -> Record:
    """Counts of a model; MACs, size and latency are filled in by who knows them."""
    return {
        "parameters": model.parameters,
        "macs": None,
        "size_bytes": None,
        "nodes": model.node_count,
        "latency_ms": None,
        "opset": model.opset.get(""),
    }


def weights_total(analysis: Analysis) -> int:
    """Numbers in all weights as the analysis sees them: shared ones count for each use."""
    return sum(map(analysis.parameters, analysis.weights))


def ratio(part: float, whole: float) -> float:
    """A share; 0 of nothing."""
    return part / whole if whole else 0.0


def blocked_entries(refused: list[Refusal], total: int) -> list[Record]:
    """What was left alone, with its share of all parameters; what later passes repeat is left out.

    Args:
        refused: refusals, in the order of the passes.
        total: number of parameters.
    """
    entries: dict[tuple[str, str], Record] = {}
    for refusal in refused:
        entries.setdefault(
            (refusal.reason, refusal.node),
            {
                "reason": refusal.reason,
                "node": refusal.node,
                "parameters": ratio(refusal.parameters, total),
            },
        )
    return list(entries.values())


def describe_equivalence(verdict: Equivalence) -> Record:
    """The verdict on the surgery."""
    return {
        "passed": verdict.passed,
        "verdict": verdict.verdict,
        "max_abs": verdict.max_abs,
        "max_rel": verdict.max_rel,
        "tolerance": verdict.tolerance,
        "compared": verdict.compared,
        "reacting": verdict.reacting,
        "worst": verdict.worst,
        "why": verdict.why,
    }


def describe_difference(found: Difference) -> Record:
    """How the files differ; see `Difference`."""
    pairs: dict[str, Mapping[str, tuple[int | str, int | str]]] = {
        "operators": found.operators,
        "ports": found.ports,
        "versions": {name or "ai.onnx": pair for name, pair in found.versions.items()},
    }
    return {
        "weights": found.weights,
        **{
            kind: [{"name": name, "before": a, "after": b} for name, (a, b) in changed.items()]
            for kind, changed in pairs.items()
        },
        "metadata_lost": found.lost,
    }


def describe_random(outputs: Mapping[str, Fidelity]) -> Record:
    """What random inputs say of a pruned model and its original, for the record of the run."""
    measured_on = {"source": "random", "samples": None, "dropped": 0, "warning": RANDOM_INPUTS}
    return {"measured_on": measured_on, "fidelity": _describe_fidelity(outputs)}


def describe_quantization(result: Result, outputs: Mapping[str, Fidelity]) -> Record:
    """What quantization made of the float model, and how close it stays to that.

    Args:
        result: with `Result.unquantized`.
        outputs: fidelity of the quantized model against the float one.
    """
    before = describe_model(result.proven)
    before["size_bytes"] = result.proven.size_bytes
    return {"float": before, "fidelity": _describe_fidelity(outputs)}


def describe_evaluation(found: Evaluation, data: Dataset) -> Record:
    """What data says of a pruned model and its original, for the record of the run.

    Args:
        found: what it says.
        data: after it was gone through.
    """
    return {
        "measured_on": {
            "source": data.source,
            "samples": found.samples,
            "dropped": data.dropped,
            "warning": None,
        },
        "fidelity": _describe_fidelity(found.fidelity),
        "metrics": {name: _describe_score(score) for name, score in found.scores.items()},
    }


def _describe_score(score: Score) -> Record:
    """A metric of both models; its change in points, with an interval, where samples are paired."""
    original, paired = score.original, score.paired
    points = None
    if paired is not None:
        low, high = (100 * end for end in paired.interval(CONFIDENCE))
        change = 100 * (paired.pruned - paired.original)
        points = {"difference": change, "low": low, "high": high, "confidence": CONFIDENCE}
    return {
        "original": original,
        "pruned": score.pruned,
        "difference": None if original is None else score.pruned - original,
        "samples": score.samples,
        "points": points,
    }


def _describe_fidelity(outputs: Mapping[str, Fidelity]) -> Record:
    """How close each output is to the original's."""
    return {
        name: {
            "cosine": output.cosine,
            "sqnr_db": output.sqnr_db,
            "max_abs": output.max_abs,
            "top1": output.top1,
            "non_finite": output.non_finite,
            "reacts": output.reacts,
            "histogram": _histogram(output.errors),
        }
        for name, output in outputs.items()
    }


def _histogram(counts: Sequence[int]) -> Record | None:
    """How errors are distributed, in standard deviations of the output and decimal logarithms."""
    return {"edges": ERROR_EDGES.tolist(), "counts": list(counts)} if counts else None


def describe_speedup(speedup: Speedup, provider: str, threads: int) -> Record:
    """A comparison of latencies, and what it was measured on."""
    return {
        "ratio": speedup.ratio,
        "low": speedup.low,
        "high": speedup.high,
        "verdict": speedup.verdict,
        "noise": [speedup.noise_low, speedup.noise_high],
        "pairs": speedup.pairs,
        "ratios": thinned(speedup.ratios, RATIOS_KEPT),
        "provider": provider,
        "threads": threads,
    }


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most so many of `items`, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def describe_latency(latency: Latency) -> Record:
    """How long runs of one model took."""
    return {
        "latency_ms": latency.p50_ms,
        "p90_ms": latency.p90_ms,
        "p99_ms": latency.p99_ms,
        "runs": latency.runs,
    }


def describe_error(error: OnnxPruneError) -> Record:
    """An error with its parts."""
    return {
        "type": type(error).__name__,
        "message": error.message,
        "where": error.where,
        "why": error.why,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }


def failed(record: Mapping[str, Any], error: OnnxPruneError) -> Record:
    """The record of a run that ended with an error.

    Args:
        record: what is known of the run; may be empty.
        error: what it ended with.
    """
    status = NOTHING_TO_PRUNE if isinstance(error, NothingToPruneError) else "failed"
    return {**record, "schema": SCHEMA, "status": status, "error": describe_error(error)}


def plain(value: Any) -> Any:
    """The same value for a JSON document: no numpy scalars, and null for what is not finite."""
    if isinstance(value, Mapping):
        entries = cast(Mapping[object, Any], value)
        return {str(key): plain(item) for key, item in entries.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast(Sequence[Any], value)]
    single: Any = cast(Any, value).item() if isinstance(value, np.generic) else value
    return None if isinstance(single, float) and not math.isfinite(single) else single


def _seconds(result: Result) -> dict[str, float]:
    known = {part: result.seconds.get(part, 0.0) for part in ("analyse", "remove", "verify")}
    return {**known, "save": 0.0}
