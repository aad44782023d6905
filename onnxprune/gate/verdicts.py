"""From what was measured to checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnxprune.gate.checks import VERSION, Better, Check, bounded, holds
from onnxprune.gate.rules import FidelityRule, MetricRule, SpeedRule, StructureRule
from onnxprune.ir.difference import Difference, operators_of
from onnxprune.ir.model import Model
from onnxprune.verify.fidelity import Fidelity
from onnxprune.verify.metrics import Score
from onnxprune.verify.speed import Speedup


def of_structure(rule: StructureRule, found: Difference, candidate: Model) -> Iterator[Check]:
    """What the candidate's file is like.

    Args:
        rule: what is asked for.
        found: how it differs from the original's.
        candidate: the candidate.
    """
    if rule.inputs_outputs_unchanged:
        changed = (
            f"{name}: {a or 'none'} -> {b or 'none'}" for name, (a, b) in found.ports.items()
        )
        why = "; ".join(changed)
        yield holds("inputs and outputs unchanged", not found.ports, why)
    if rule.metadata_kept:
        yield holds("metadata kept", not found.lost, f"lost or changed: {', '.join(found.lost)}")
    opset, ir_version = candidate.opset.get("", 0), candidate.proto.ir_version
    if rule.min_opset:
        yield bounded("least opset", opset, rule.min_opset, "higher", unit=VERSION)
    if rule.max_opset:
        yield bounded("greatest opset", opset, rule.max_opset, "lower", unit=VERSION)
    if rule.max_ir_version:
        yield bounded("greatest IR version", ir_version, rule.max_ir_version, "lower", unit=VERSION)
    if rule.operators or rule.no_operators:
        used = operators_of(candidate)
        wrong = used & {*rule.no_operators}
        if rule.operators:
            wrong |= used - {*rule.operators}
        why = f"not allowed: {', '.join(sorted(wrong))}"
        yield holds("operators allowed", not wrong, why)


def of_fidelity(rule: FidelityRule, found: Mapping[str, Fidelity], what: str) -> Iterator[Check]:
    """How close outputs are to the original's.

    Args:
        rule: what is asked for.
        found: how close they are, by output.
        what: what was measured on, in words.
    """
    named = {rule.output: found.get(rule.output)} if rule.output else found
    if not found:
        yield Check(f"fidelity {what}", "cannot tell", why="no output can be compared")
    for output, fidelity in named.items():
        if fidelity is None:
            why = f"it cannot be compared; those that can are {', '.join(found) or 'none'}"
            yield Check(f"fidelity of {output} {what}", "fail", why=why)
            continue
        yield from _closeness(rule, output, fidelity, what)


def _closeness(rule: FidelityRule, output: str, found: Fidelity, what: str) -> Iterator[Check]:
    limits: tuple[tuple[str, float | None, float | None, Better, str], ...] = (
        ("cosine", found.cosine, rule.min_cosine, "higher", "cosine"),
        ("SQNR", found.sqnr_db, rule.min_sqnr_db, "higher", "dB"),
        ("largest difference", found.max_abs, rule.max_abs, "lower", ""),
        ("agreement", found.top1, rule.min_agreement, "higher", "share"),
    )
    for what_of, measured, limit, better, unit in limits:
        name = f"{what_of} of {output} {what}"
        if limit is None:
            continue
        if measured is None:
            yield Check(name, "fail", why="the output holds no scores")
        elif found.non_finite:
            why = f"{found.non_finite} values are not finite any more"
            yield Check(name, "fail", measured, limit=limit, unit=unit, why=why)
        elif not found.reacts:
            yield Check(name, "cannot tell", why="the output hardly reacts to these inputs")
        else:
            yield bounded(name, measured, limit, better, unit=unit)


def of_metric(rule: MetricRule, score: Score, what: str) -> Iterator[Check]:
    """How good the candidate is.

    Args:
        rule: what is asked for.
        score: what the metric came to.
        what: what was measured on, in words.
    """
    name, samples = f"{rule.name} {what}", f"{score.samples} samples"
    if rule.minimum is not None:
        yield bounded(name, score.pruned, rule.minimum, "higher", unit="share", why=samples)
    if rule.max_drop is not None:
        original = 1.0 if score.original is None else score.original
        interval = None
        if score.paired is not None:
            low, high = score.paired.interval(rule.confidence)
            interval = -high, -low
        yield bounded(
            f"drop of {name}",
            original - score.pruned,
            rule.max_drop,
            "lower",
            interval=interval,
            unit="share",
            why=samples,
        )


def of_speed(rule: SpeedRule, found: Speedup) -> Iterator[Check]:
    """How fast the candidate is; an interval is as wide as no difference at all shows.

    Args:
        rule: what is asked for.
        found: both models' latencies.
    """
    on = f"on {rule.provider}, batch {rule.batch}"
    on += "" if rule.threads == 1 else f", {rule.threads or 'all'} threads"
    if rule.min_speedup is not None:
        yield bounded(
            f"speed-up {on}",
            found.ratio,
            rule.min_speedup,
            "higher",
            interval=found.bounds,
            unit="x",
            why=f"{found.pairs} pairs of runs",
        )
    if rule.max_latency_ms is not None:
        latency: float = getattr(found.pruned, f"p{rule.percentile}_ms")
        yield bounded(
            f"latency {on}, {rule.percentile}th percentile",
            latency,
            rule.max_latency_ms,
            "lower",
            interval=(latency / found.spread, latency * found.spread),
            unit="ms",
            why=f"{found.pruned.runs} runs",
        )
