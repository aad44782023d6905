"""What a pipeline made of a model: the smaller model with its plan, its proof, its measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from onnxprune.coupling.plan import Plan
from onnxprune.coupling.ports import kept_of_ports
from onnxprune.data.dataset import Dataset
from onnxprune.data.narrow import Kept, narrowed
from onnxprune.data.random import Feeds, InputSpec
from onnxprune.errors import CannotTellError, EquivalenceError
from onnxprune.ir.model import Model
from onnxprune.notebook import html_table
from onnxprune.passes.work import PassReport, Refusal, Removal, ports_of
from onnxprune.pipelines.inputs import Inputs, Shapes
from onnxprune.runtime import Load, Observation
from onnxprune.verify.equivalence import Equivalence, check_equivalence, check_outputs
from onnxprune.verify.evaluation import Evaluation, MetricLike, evaluate
from onnxprune.verify.exactness import differing
from onnxprune.verify.fidelity import Fidelity, measure_fidelity
from onnxprune.verify.latency import compare_models
from onnxprune.verify.sessions import observe_both, session_of
from onnxprune.verify.speed import Speedup

_ELSEWHERE = "it changed with weights that were made anew, and is none of them"


@dataclass(slots=True, eq=False, repr=False)
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
        unquantized: the float model that `model` was quantized from, if it was.
    """

    original: Model
    model: Model
    plan: Plan
    removals: list[Removal]
    reports: list[PassReport]
    seconds: dict[str, float]
    input_shapes: Shapes = field(default_factory=dict[str, tuple[int, ...]])
    equivalence: Equivalence | None = None
    unquantized: Model | None = None

    def __repr__(self) -> str:
        """What became of the parameters and what is proven, in one line."""
        before, after = self.original.parameters, self.model.parameters
        return f"<Result: {before:,} to {after:,} parameters, equivalence {self._verdict}>"

    def _repr_html_(self) -> str:
        """Both models side by side, and what the passes did, as notebooks show it."""
        both = (self.original, self.model)
        sizes = html_table(
            f"Equivalence: {self._verdict}",
            ("", "original", "pruned"),
            [
                ("parameters", *(model.parameters for model in both)),
                ("operators", *(model.node_count for model in both)),
                ("bytes", *(model.size_bytes for model in both)),
            ],
        )
        rows = [(report.name, "; ".join(report.did)) for report in self.reports]
        return sizes + html_table("Passes", ("pass", "what it did"), rows)

    @property
    def _verdict(self) -> str:
        return "not checked" if self.equivalence is None else self.equivalence.verdict

    @property
    def is_pruned(self) -> bool:
        """Whether any channel was removed, or any weight made zero."""
        return any(removal.keeps or removal.sparsified for removal in self.removals)

    @property
    def proven(self) -> Model:
        """The model that the proof is about: as it is, or as it was before it was quantized."""
        return self.unquantized or self.model

    @property
    def refused(self) -> list[Refusal]:
        """What passes left as it was, with reasons."""
        return [refusal for report in self.reports for refusal in report.refused]

    @property
    def ports(self) -> Kept:
        """What stays of graph inputs and outputs, by name and axis; whole ones are absent."""
        return ports_of(self.removals)

    def specs(self, batch: int = 2) -> list[InputSpec]:
        """The original's inputs at the shapes used for running.

        Args:
            batch: size of dynamic leading axes.
        """
        return self._inputs().specs(batch)

    def feeds(self, count: int = 2, batch: int = 2, seed: int = 0) -> list[Feeds]:
        """Random inputs of the original, each set different."""
        return self._inputs(seed).feeds(count, batch)

    def verify(
        self,
        feeds: Sequence[Feeds] | None = None,
        *,
        data: Dataset | None = None,
        seed: int = 0,
        check: bool = True,
    ) -> Equivalence:
        """Prove that the pruned model computes what the masked original computes.

        Of a model that was quantized then, that is said of the float model before.

        Args:
            feeds: two sets of inputs of the original or more; by default random ones, at two sizes
                where the model has dynamic axes.
            data: first samples of which are inputs beside the random ones.
            seed: of random inputs.
            check: whether anything but success is an error.

        Raises:
            EquivalenceError: the compiler's own result is wrong.
            CannotTellError: the inputs prove nothing.
            RuntimeFailureError: ONNX Runtime cannot run the model.
        """
        start = perf_counter()
        if feeds is not None:
            verdict = self._compare(list(feeds))
        else:
            verdict = self._inputs(seed).prove(self._compare, data, 1 + len(self.removals))
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

    def fidelity(self, data: Dataset | Sequence[Feeds] | None = None) -> dict[str, Fidelity]:
        """How close the outputs stay to the original's, by output.

        Args:
            data: inputs of the original; random ones if None.

        Raises:
            UsageError: the data cannot be read, or does not fit.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        if isinstance(data, Dataset):
            return self.evaluate(data).fidelity
        chosen = self.feeds(count=4) if data is None else data
        with session_of(self.original) as original, session_of(self.model) as pruned:
            return measure_fidelity(original, pruned, chosen, self.ports)

    def quantization_fidelity(
        self, data: Dataset | Sequence[Feeds] | None = None
    ) -> dict[str, Fidelity]:
        """How close the quantized model stays to the float model that it was made of, by output.

        Args:
            data: inputs of the original; random ones if None.

        Raises:
            UsageError: the data cannot be read, or does not fit.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        chosen = self.feeds(count=4) if data is None else data
        sets = (item if isinstance(item, dict) else item.feeds for item in chosen)
        with session_of(self.proven) as before, session_of(self.model) as quantized:
            return measure_fidelity(before, quantized, (narrowed(x, self.ports) for x in sets))

    def evaluate(
        self, data: Dataset, metrics: Sequence[MetricLike] = (), *, output: str | None = None
    ) -> Evaluation:
        """Judge the pruned model and the original on data, which is gone through once.

        Args:
            data: inputs of the original, with labels where a metric needs them.
            metrics: ``top1``, ``top5``, ``cosine``, ``agreement``, ``module:function``, functions.
            output: name of the output that holds the scores; None for the only one that can.

        Raises:
            UsageError: a metric is unknown or does not fit, or the data cannot be read.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        with session_of(self.original) as original, session_of(self.model) as pruned:
            return evaluate(original, pruned, data, metrics, output=output, ports=self.ports)

    def benchmark(
        self,
        *,
        provider: str = "cpu",
        threads: int = 1,
        batch: int = 1,
        budget_s: float = 3.0,
        seed: int = 0,
        confidence: float = 0.95,
        strict: bool = False,
    ) -> Speedup:
        """Measure both models, interleaved; see `compare_models`."""
        feed = self.feeds(count=1, batch=batch, seed=seed)[0]
        return compare_models(
            self.original,
            self.model,
            feed,
            narrowed(feed, self.ports),
            provider=provider,
            threads=threads,
            budget_s=budget_s,
            seed=seed,
            confidence=confidence,
            strict=strict,
        )

    def observe(
        self, load: Load, *, batch: int = 1, seed: int = 0
    ) -> tuple[Observation, Observation]:
        """What each model takes by itself, in a process of its own: see `observe_both`."""
        feed = self.feeds(count=1, batch=batch, seed=seed)[0]
        feeds = feed, narrowed(feed, self.ports)
        return observe_both((self.original, self.model), feeds, load)

    def _compare(self, feeds: list[Feeds]) -> Equivalence:
        """Canonical form against original, then each removal against its masked reference.

        Weights that are new on purpose, by repair or as zeros, are no part of that.
        """
        if not self.removals:
            return check_outputs(self.original, self.proven, feeds)
        first = self.removals[0].analysis.canonical
        types = first.facts.elem_types
        canonical = check_outputs(self.original, first.model, feeds, types)
        if canonical.verdict == "failed":
            return canonical
        proven: Equivalence | None = None
        unreached: list[str] = []
        for place, removal in enumerate(self.removals):
            following = self.removals[place + 1 :]
            then = following[0].analysis.canonical.model if following else self.proven
            reweighted = removal.reweighted
            pruned = then if reweighted is None else removal.pruned
            before = removal.analysis.canonical.model
            if pruned is not before:  # else nothing was cut
                verdict = (
                    check_outputs(before, pruned, feeds, types)
                    if removal.permuted
                    else check_equivalence(removal.analysis, removal.keeps, pruned, feeds)
                )
                if verdict.finding != "passed":
                    return verdict
                suffix = f" (removal {place + 1})" if place else ""
                unreached += (body + suffix for body in verdict.unreached)
                proven = verdict.after(proven) if proven else verdict
            ports = kept_of_ports(removal.analysis.ports, removal.keeps)
            feeds = [narrowed(feed, ports) for feed in feeds]
            if reweighted is not None:
                other = differing(removal.pruned, reweighted.model, reweighted.names)
                if other:
                    return Equivalence("failed", worst=other, reason=_ELSEWHERE)
                same = check_outputs(reweighted.model, then, feeds, types)
                if same.verdict == "failed":
                    return same
        return replace(proven or canonical, unreached=tuple(unreached))

    def _inputs(self, seed: int = 0) -> Inputs:
        analysis = self.removals[0].analysis if self.removals else None
        return Inputs(self.original, self.input_shapes, analysis, seed)
