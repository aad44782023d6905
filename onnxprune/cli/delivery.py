"""From a pipeline's result to a written model: prove, measure, write, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from onnxprune.cli.console import Output
from onnxprune.cli.judging import Judge, Wanted
from onnxprune.cli.options import Shapes
from onnxprune.cli.targets import check_distinct, check_plan, check_target, check_weights
from onnxprune.data.dataset import Dataset
from onnxprune.errors import NothingToPruneError, RuntimeFailureError, UsageError
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.passes import RemoveRedundant, Sparsify, StoreSparsely
from onnxprune.pipelines.result import Result
from onnxprune.reports.benchmark import describe_providers, print_providers
from onnxprune.reports.provenance import hashes, provenance
from onnxprune.reports.record import (
    describe_equivalence,
    describe_quantization,
    describe_random,
    describe_speedup,
    start_record,
)
from onnxprune.reports.terminal import console, print_record, reasons
from onnxprune.runtime import Load
from onnxprune.runtime.binding import load_onnxruntime
from onnxprune.runtime.providers import CPU, parse_provider, require_installed
from onnxprune.verify.sessions import session_of


@dataclass(frozen=True, slots=True)
class Job:
    """What to do with a pruned model.

    Attributes:
        source: the model to read.
        target: the file to write.
        plan: the file to write the plan to, or None.
        verify: whether equivalence is proven first.
        benchmark: whether latency is measured.
        provider: what it is measured on.
        threads: with how many threads.
        strict: whether the provider must run every node.
        seed: of random inputs.
        in_place: whether the target may be the source.
        input_shapes: shapes of dynamic inputs that the user gave.
        wanted: data and metrics to judge the pruned model by, or None.
        calibration: data to score and repair on, if it is other data.
    """

    source: Path
    target: Path
    plan: Path | None
    verify: bool
    benchmark: bool
    provider: str
    threads: int
    strict: bool
    seed: int
    in_place: bool
    input_shapes: Shapes
    wanted: Wanted | None
    calibration: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """What is at hand before the work begins.

    Attributes:
        model: the model.
        load_s: seconds that loading took.
        judge: data and metrics that fit it, or None.
        calibration: data to score and repair on, or None.
    """

    model: Model
    load_s: float
    judge: Judge | None
    calibration: Dataset | None = None


def prepare(job: Job, out: Output) -> Ready:
    """Check all that can fail cheaply, load the model, and try what needs it.

    Args:
        job: what to do.
        out: holds the record, which is told what the run rests on.

    Raises:
        UsageError: a file would replace another one, or the data does not fit the model.
        WriteError: a result could not be written.
        ProviderUnavailableError: the provider is not there, or takes no node; if strict,
            not all of them.
        ModelError: the model cannot be read.
        RuntimeFailureError: the provider, or ONNX Runtime with the data, cannot run the model.
    """
    if job.source.is_file():
        check_distinct(job.source, job.target, job.in_place)
        check_target(job.target)
        if job.plan is not None:
            check_plan(job.plan, job.source, job.target)
        require_provider(job.provider)
    start = perf_counter()
    model = load(job.source)
    seconds = perf_counter() - start
    out.record["provenance"] = provenance(
        {"original": model}, seed=job.seed, provider=job.provider, threads=job.threads
    )
    check_weights(model, job.target, job.in_place)
    _require_running(model, job)
    judge = None if job.wanted is None else job.wanted.opened(model, job.input_shapes)
    calibration = None if judge is None else judge.data
    if job.calibration is not None:
        calibration = job.calibration.opened(model, job.input_shapes).data
    return Ready(model, seconds, judge, calibration)


def deliver(result: Result, job: Job, out: Output, ready: Ready) -> None:
    """Prove, measure and write a pruned model, and note it all in the record.

    Args:
        result: what the pipeline made.
        job: what to do with it.
        out: holds the record.
        ready: what was at hand before.

    Raises:
        NothingToPruneError: nothing was pruned.
        UsageError: the data broke off; the model is written all the same.
        EquivalenceError: the result is wrong.
        CannotTellError: its proof failed for lack of inputs that say anything.
        RuntimeFailureError: ONNX Runtime cannot run the model.
        WriteError: the result could not be written.
    """
    record = out.record
    record.update(start_record(result, ready.load_s))
    if not changed(result):
        raise nothing_to_prune(result, record, job.source)
    notes = _notes(result)
    if job.verify:
        out.stage("verifying")
        _verify(result, job, ready.judge, record)
    else:
        notes.append("not verified (--no-verify): nothing shows that the surgery is right")
    broken: UsageError | None = None
    try:
        out.stage("comparing outputs")
        broken = _compare(result, job, ready.judge, record)
        if job.benchmark:
            out.stage("measuring latency")
            _measure(result, job, record)
    except RuntimeFailureError as error:
        if job.verify:
            raise
        notes.append(f"fidelity and latency unknown: {error.message} ({first_line(error.why)})")
    out.stage("writing")
    _write(result, job, record)
    files: dict[str, str | Path | None] = {"pruned": job.target, "plan": job.plan}
    for name, wanted in (("data", job.wanted), ("calibration", job.calibration)):
        files[name] = None if wanted is None else wanted.source
    record["provenance"]["inputs"] |= hashes(files)
    if notes:
        record["notes"] = [*record.get("notes", ()), *notes]
    if broken is not None:
        hint = f"{job.target} is written; mend the data, and `onnxprune verify` judges the model"
        raise UsageError(broken.message, where=broken.where, why=broken.why, hint=hint) from broken


def _notes(result: Result) -> list[str]:
    """What passes did, or did not, that no number in the record tells."""
    notes = [
        f"{report.name} {did}"
        for report in result.reports
        if report.name == StoreSparsely.name
        or (not report.modified and report.name.startswith("repair"))
        for did in report.did
    ]
    if result.unquantized is not None and result.removals and not result.is_pruned:
        notes.append("no channel was removed: the model is quantized, and nothing else")
    return notes


def show(out: Output, job: Job) -> None:
    """Write the report to where it belongs; not while progress is shown.

    Args:
        out: holds the record.
        job: what was done.
    """
    if out.as_json:
        out.document(out.record)
    elif not out.quiet:
        with out.stdout() as file:
            notes = [note for note in out.record.get("notes", ()) if note not in out.told]
            record = {**out.record, "notes": notes}
            print_record(record, file, f"{job.source.name} -> {job.target}")
            if "providers" in out.record:
                print_providers(console(file), out.record["providers"])


def changed(result: Result) -> bool:
    """Whether there is anything to write: channels removed, or other changes asked for alone."""
    return (
        result.is_pruned
        or result.unquantized is not None
        or (not result.removals and any(report.modified for report in result.reports))
    )


def nothing_to_prune(result: Result, record: Mapping[str, Any], source: Path) -> Exception:
    """The error for a model of which nothing was removed, with the reasons."""
    if not result.removals:
        return NothingToPruneError(
            "these passes change nothing, and nothing was written",
            where=str(source),
            why="; ".join(f"{r.name} {did}" for r in result.reports for did in r.did),
            hint="remove-channels removes channels; `onnxprune passes` lists all",
        )
    names = {report.name.partition("{")[0] for report in result.reports}
    if RemoveRedundant.name in names and Sparsify.name not in names:
        return NothingToPruneError(
            "no channel of this model is provably without effect, and nothing was written",
            where=str(source),
            hint="--channels 0.3, or a budget such as --target-macs 0.5, trades accuracy for size",
        )
    offered = result.removals[-1].chosen
    if offered:
        return NothingToPruneError(
            "nothing was pruned, and nothing was written",
            where=str(source),
            why=f"at this ratio all {len(offered)} coupling groups keep their full width",
            hint="take a larger --channels, or a smaller multiple: --round-to 1",
        )
    why = "\n".join(line.strip() for line in reasons(record["blocked"]))
    return NothingToPruneError(
        "nothing in this model can be pruned as asked, and nothing was written",
        where=str(source),
        why=f"by share of parameters:\n{why}" if why else "it has no weights with a free axis",
        hint="`onnxprune inspect` lists its coupling groups",
    )


def require_provider(spec: str) -> None:
    """Check that a provider is there, as far as that is known without a session.

    Args:
        spec: the provider as given.

    Raises:
        ProviderUnavailableError: it is not.
        UsageError: the text makes no sense.
    """
    require_installed(load_onnxruntime(), parse_provider(spec))


def first_line(text: str) -> str:
    """The first line of a text."""
    return text.strip().partition("\n")[0]


def _require_running(model: Model, job: Job) -> None:
    """Check that a provider other than the CPU takes the model at all; if strict, all of it."""
    if parse_provider(job.provider).name != CPU:
        with session_of(model, provider=job.provider, optimization="all", strict=job.strict):
            pass


def _verify(result: Result, job: Job, judge: Judge | None, record: dict[str, Any]) -> None:
    try:
        result.verify(data=judge.data if judge else None, seed=job.seed)
    except RuntimeFailureError as error:
        raise cannot_run(result, error) from error
    finally:
        if result.equivalence is not None:
            record["equivalence"] = describe_equivalence(result.equivalence)
        record["seconds"]["verify"] = result.seconds.get("verify", 0.0)


def cannot_run(result: Result, error: RuntimeFailureError) -> RuntimeFailureError:
    """The error for a model that ONNX Runtime cannot run, so that nothing can be proven."""
    unknown = sorted(result.removals[0].analysis.unknown) if result.removals else []
    custom = [name for name in unknown if "." in name]
    return RuntimeFailureError(
        "the result cannot be verified, and nothing was written: " + error.message,
        where=", ".join(custom) or error.where,
        why=error.why,
        hint="--no-verify writes the pruned model without proof"
        + ("; ONNX Runtime does not know these operators" if custom else ""),
    )


def _compare(
    result: Result, job: Job, judge: Judge | None, record: dict[str, Any]
) -> UsageError | None:
    """Compare what both models give; what is wrong with the data is no reason to write nothing."""
    feeds = result.feeds(4, seed=job.seed) if judge is None else judge.data
    try:
        record.update(
            describe_random(result.fidelity(feeds)) if judge is None else judge.judged(result)
        )
        if result.unquantized is not None:
            apart = result.quantization_fidelity(feeds)
            record["quantization"] = describe_quantization(result, apart)
    except UsageError as error:
        return error
    return None


def _measure(result: Result, job: Job, record: dict[str, Any]) -> None:
    speedup = result.benchmark(
        provider=job.provider, threads=job.threads, seed=job.seed, strict=job.strict
    )
    record["speedup"] = describe_speedup(speedup, job.provider, job.threads)
    record["original"]["latency_ms"] = speedup.original.p50_ms
    record["pruned"]["latency_ms"] = speedup.pruned.p50_ms
    if parse_provider(job.provider).name != CPU:
        load = Load(job.provider, job.threads)
        record["providers"] = describe_providers(result.observe(load, seed=job.seed), load)


def _write(result: Result, job: Job, record: dict[str, Any]) -> None:
    start = perf_counter()
    result.model.save(job.target)
    record["seconds"]["save"] = perf_counter() - start
    data = job.target.with_name(job.target.name + ".data")
    # Only a model with external data has to be looked into for what it uses.
    external = result.model.external or data.exists()
    size_bytes = load(job.target).size_bytes if external else job.target.stat().st_size
    record["pruned"]["size_bytes"] = size_bytes
    if job.plan is not None:
        result.plan.save(job.plan)
        record["plan"] = str(job.plan)
