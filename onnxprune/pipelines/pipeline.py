"""Pipelines: passes in a row, with plan, proof and measurements of what came out."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.inputs import input_specs
from onnxprune.coupling.plan import AxisPlan, Plan, axis_plans, compose
from onnxprune.data.random import Feeds, InputSpec, random_feeds, resized
from onnxprune.errors import CannotTellError, EquivalenceError
from onnxprune.ir import bindings
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.load import load
from onnxprune.ir.merge import merge_views
from onnxprune.ir.model import Model
from onnxprune.passes.work import Pass, PassReport, Refusal, Removal, Work
from onnxprune.pipelines.spec import parse_pipeline, spec_of
from onnxprune.verify.equivalence import Equivalence, check_equivalence, check_outputs
from onnxprune.verify.fidelity import Fidelity, measure_fidelity
from onnxprune.verify.latency import compare_models
from onnxprune.verify.sessions import session_of
from onnxprune.verify.speed import Speedup

Shapes = Mapping[str, tuple[int, ...]]
Progress = Callable[[str], None]
"""Called with the name of each stage when it begins."""


@dataclass(slots=True, eq=False)
class Result:
    """What a pipeline made of a model.

    Attributes:
        original: the model as it was loaded.
        model: the model as it is now.
        plan: which indices of the original weights stay.
        removals: every removal, with the analysis it was based on.
        reports: one for each pass.
        seconds: time spent on ``analyse``, ``remove``, ``verify``.
        input_shapes: shapes of dynamic inputs that the user gave.
        equivalence: the last verdict of `verify`.
    """

    original: Model
    model: Model
    plan: Plan
    removals: list[Removal]
    reports: list[PassReport]
    seconds: dict[str, float]
    input_shapes: Shapes = field(default_factory=dict[str, tuple[int, ...]])
    equivalence: Equivalence | None = None

    @property
    def is_pruned(self) -> bool:
        """Whether any channel was removed."""
        return any(removal.keeps for removal in self.removals)

    @property
    def refused(self) -> list[Refusal]:
        """What passes left as it was, with reasons."""
        return [refusal for report in self.reports for refusal in report.refused]

    def specs(self, batch: int = 2) -> list[InputSpec]:
        """The model's inputs at the shapes used for running: dynamic first axes become `batch`."""
        if self.removals:
            analysis = self.removals[0].analysis
        else:
            analysis = analyse(canonicalise(self.original, self.input_shapes))
        return resized(input_specs(analysis), self._run_shapes(batch))

    def feeds(self, count: int = 2, batch: int = 2, seed: int = 0) -> list[Feeds]:
        """Random inputs, each set different."""
        specs = self.specs(batch)
        return [random_feeds(specs, seed + index) for index in range(count)]

    def verify(self, feeds: Sequence[Feeds] | None = None, *, check: bool = True) -> Equivalence:
        """Prove that the pruned model computes what the masked original computes.

        Args:
            feeds: two sets of inputs or more; random ones by default.
            check: whether anything but success is an error.

        Raises:
            EquivalenceError: the compiler's own result is wrong.
            CannotTellError: the inputs prove nothing.
            RuntimeFailureError: ONNX Runtime cannot run the model.
        """
        start = perf_counter()
        chosen = list(feeds) if feeds is not None else self.feeds()
        verdict = self._compare(chosen)
        self.equivalence = verdict
        self.seconds["verify"] = perf_counter() - start
        if check and verdict.verdict == "failed":
            raise EquivalenceError(
                "the pruned model does not compute what the masked original computes",
                where=verdict.worst,
                why=verdict.why,
                hint="nothing was written; please report the model, it is a fault of onnxprune",
            )
        if check and verdict.verdict != "passed":
            raise CannotTellError(
                "equivalence cannot be shown on these inputs",
                why=verdict.why,
                hint="nothing was written; --no-verify writes the model unproven",
            )
        return verdict

    def fidelity(self, feeds: Sequence[Feeds] | None = None) -> dict[str, Fidelity]:
        """How close the outputs stay to the original's, on random inputs unless given."""
        chosen = list(feeds) if feeds is not None else self.feeds(count=4)
        with session_of(self.original) as original, session_of(self.model) as pruned:
            return measure_fidelity(original, pruned, chosen)

    def benchmark(
        self,
        *,
        provider: str = "cpu",
        threads: int = 1,
        batch: int = 1,
        budget_s: float = 3.0,
        seed: int = 0,
        confidence: float = 0.95,
    ) -> Speedup:
        """Measure both models, interleaved."""
        feed = self.feeds(count=1, batch=batch, seed=seed)[0]
        return compare_models(
            self.original,
            self.model,
            feed,
            provider=provider,
            threads=threads,
            budget_s=budget_s,
            seed=seed,
            confidence=confidence,
        )

    def _compare(self, feeds: list[Feeds]) -> Equivalence:
        """Canonical form against original, then each removal against its masked reference."""
        if not self.removals:
            return check_outputs(self.original, self.model, feeds)
        canonical = check_outputs(self.original, self.removals[0].analysis.canonical.model, feeds)
        if canonical.verdict == "failed":
            return canonical
        verdict = Equivalence()
        for place, removal in enumerate(self.removals):
            following = self.removals[place + 1 :]
            pruned = following[0].analysis.canonical.model if following else self.model
            verdict = check_equivalence(removal.analysis, removal.keeps, pruned, feeds)
            if not verdict.passed:
                return verdict
        return verdict

    def _run_shapes(self, batch: int) -> dict[str, tuple[int, ...]]:
        """The analysed shapes, with `batch` for the leading axis where that is dynamic."""
        proto = self.original.proto
        first = bindings.input_shapes(proto, self.input_shapes)
        second = bindings.input_shapes(proto, self.input_shapes, variant=1)
        return {
            name: (batch, *shape[1:]) if shape and second[name][0] != shape[0] else shape
            for name, shape in first.items()
        }


class Pipeline:
    """A row of passes."""

    def __init__(self, passes: Sequence[Pass] | str) -> None:
        """Make a pipeline of passes, or of a text such as ``fold-constants,remove-channels``.

        Raises:
            UsageError: the text is malformed.
        """
        self.passes = parse_pipeline(passes) if isinstance(passes, str) else list(passes)

    def __str__(self) -> str:
        """The pipeline as text."""
        return ",".join(spec_of(step) for step in self.passes)

    def run(
        self,
        model: Model | str | os.PathLike[str],
        *,
        input_shapes: Shapes | None = None,
        progress: Progress | None = None,
        verify_each: bool = False,
    ) -> Result:
        """Run all passes over a model.

        Args:
            model: a loaded model, which is left as it is, or a path.
            input_shapes: shapes of dynamic inputs, by name.
            progress: called with the name of each pass when it begins.
            verify_each: whether the result of each pass is verified; an error names the pass.

        Raises:
            ModelError: the model cannot be handled.
            UsageError: an option makes no sense.
            EquivalenceError: with `verify_each`, a pass gave a wrong result.
        """
        source = model if isinstance(model, Model) else load(model)
        work = Work(source, source, dict(input_shapes or {}))
        with _collector_paused():
            for step in self.passes:
                if progress is not None:
                    progress(spec_of(step))
                start = perf_counter()
                report = step.run(work)
                report.name = spec_of(step)
                report.seconds = perf_counter() - start
                work.reports.append(report)
                if verify_each:
                    self._verify_step(work, spec_of(step))
            return self._result(work, merge=True)

    def _verify_step(self, work: Work, name: str) -> None:
        try:
            self._result(work, merge=False).verify()
        except (EquivalenceError, CannotTellError) as error:
            raise type(error)(
                error.message,
                where=f"after pass {name}: {error.where}",
                why=error.why,
                hint=error.hint,
            ) from error

    def _result(self, work: Work, merge: bool) -> Result:
        model = merge_views(work.model, work.provenance) if merge else work.model
        plan = Plan("", settings={"pipeline": str(self)}, original=work.original)
        plan.initializers = _planned(work)
        plan.model_sha256 = work.original.sha256
        return Result(
            work.original,
            model,
            plan,
            list(work.removals),
            work.reports,
            work.seconds,
            work.input_shapes,
        )


@contextmanager
def _collector_paused() -> Generator[None]:
    """Keep Python's cycle collector away from the many small objects of an analysis.

    They live to the end, and looking through them again and again makes the time grow faster than
    the graph.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _planned(work: Work) -> dict[str, dict[int, AxisPlan]]:
    """What all removals together keep of each original weight."""
    planned: dict[str, dict[int, AxisPlan]] = {}
    for removal in work.removals:
        constants = removal.analysis.canonical.model.constants
        for name in constants:
            value = removal.analysis.values.get(name)
            if value is None or name not in work.provenance:
                continue
            for axis, kept in axis_plans(value, removal.keeps).items():
                before = planned.setdefault(name, {})
                before[axis] = compose(before[axis], kept, name) if axis in before else kept
    return planned
