"""Two models that are there already: is one the other, pruned; how close, how fast?"""

from __future__ import annotations

from dataclasses import dataclass

from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.groups import find_groups
from onnxprune.coupling.plan import Plan, keeps_from_plan
from onnxprune.data.random import Feeds
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.model import Model
from onnxprune.passes.work import Work
from onnxprune.pipelines.pipeline import Pipeline, Shapes
from onnxprune.verify.equivalence import Equivalence, check_equivalence
from onnxprune.verify.fidelity import Fidelity, measure_fidelity
from onnxprune.verify.latency import compare_models
from onnxprune.verify.sessions import session_of
from onnxprune.verify.speed import Speedup


@dataclass(frozen=True, slots=True)
class Comparison:
    """An original and a model that is said to be it, pruned.

    Attributes:
        original: the model before.
        pruned: the model after.
        input_shapes: shapes of dynamic inputs, by name.
        seed: of random inputs.
    """

    original: Model
    pruned: Model
    input_shapes: Shapes
    seed: int = 0

    def feeds(self, count: int, batch: int) -> list[Feeds]:
        """Random inputs that the original takes."""
        unchanged = Pipeline([]).run(self.original, input_shapes=self.input_shapes)
        return unchanged.feeds(count, batch, self.seed)

    def equivalence(self, plan: Plan) -> Equivalence:
        """Compare with the masked original, whose masks are derived anew from the plan.

        Args:
            plan: what is said to be kept.

        Raises:
            PlanError: the plan does not fit the original.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        work = Work(self.original, self.original, dict(self.input_shapes))
        analysis = analyse(work.canonical())
        keeps = keeps_from_plan(plan, analysis, find_groups(analysis))
        return check_equivalence(analysis, keeps, self.pruned, self.feeds(2, 2))

    def fidelity(self) -> dict[str, Fidelity]:
        """How close the outputs are, on random inputs.

        Raises:
            RuntimeFailureError: ONNX Runtime cannot run a model, or they differ in their inputs.
        """
        with session_of(self.original) as first, session_of(self.pruned) as second:
            wanted, given = ({port.name for port in s.inputs} for s in (first, second))
            if wanted != given:
                raise RuntimeFailureError(
                    "the models do not take the same inputs",
                    why=f"one takes {sorted(wanted)}, the other {sorted(given)}",
                )
            return measure_fidelity(first, second, self.feeds(4, 2))

    def latency(self, provider: str, threads: int, batch: int, budget_s: float) -> Speedup:
        """Measure both, interleaved.

        Args:
            provider: execution provider.
            threads: threads within an operator; 0 for all cores.
            batch: size of a dynamic leading axis.
            budget_s: seconds to measure for.

        Raises:
            ProviderUnavailableError: the provider is not there.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        feed = self.feeds(1, batch)[0]
        return compare_models(
            self.original,
            self.pruned,
            feed,
            provider=provider,
            threads=threads,
            budget_s=budget_s,
            seed=self.seed,
        )
