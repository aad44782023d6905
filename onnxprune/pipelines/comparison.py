"""Two models that are there already: is one the other, pruned; how close, how fast?"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import find_groups
from onnxprune.coupling.plan import Plan, hash_of
from onnxprune.coupling.plan_reading import keeps_from_plan
from onnxprune.coupling.ports import kept_of_ports
from onnxprune.data.dataset import Dataset
from onnxprune.data.narrow import Kept
from onnxprune.data.random import Feeds
from onnxprune.errors import PlanError, RuntimeFailureError
from onnxprune.ir.bindings import input_shapes
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import made_dense
from onnxprune.ir.tensors import ArrayTensor, Tensor
from onnxprune.ops.registry import is_quantized
from onnxprune.passes.remove.slicing import remove
from onnxprune.pipelines.inputs import Inputs, Shapes
from onnxprune.runtime import Load, Observation, Optimization, Session
from onnxprune.verify.deviation import TOLERANCES
from onnxprune.verify.equivalence import Equivalence, check_equivalence
from onnxprune.verify.evaluation import Evaluation, MetricLike, evaluate
from onnxprune.verify.fidelity import Fidelity, measure_fidelity
from onnxprune.verify.latency import compare_models
from onnxprune.verify.sessions import observe_both, session_of
from onnxprune.verify.speed import Speedup
from onnxprune.verify.tolerance import Tolerances

_QUANTIZED = (
    "the pruned model is quantized, so that all its numbers differ; prove the float model: "
    "`onnxprune apply` of the plan makes it, or judge this one by its fidelity, without --plan"
)


class Comparison:
    """An original and a model that is said to be it, pruned."""

    def __init__(
        self,
        original: Model,
        pruned: Model,
        input_shapes: Shapes,
        seed: int = 0,
        plan: Plan | None = None,
        tolerances: Tolerances = TOLERANCES,
    ) -> None:
        """Compare two models.

        Args:
            original: the model before.
            pruned: the model after.
            input_shapes: shapes of dynamic inputs, by name.
            seed: of random inputs.
            plan: what is said to be kept.
            tolerances: how far tensors may be apart where they should be equal.
        """
        self.original = original
        self.pruned = pruned
        self._shapes = input_shapes
        self._seed = seed
        self._plan = plan
        self._tolerances = tolerances

    @cached_property
    def _removal(self) -> tuple[Analysis, dict[Dim, Keep]]:
        """The original's analysis, and the masks that the plan stands for, derived anew."""
        plan = self._plan or Plan("")
        analysis = analyse(canonicalise(self.original, self._shapes), allow_io=plan.allow_io)
        return analysis, keeps_from_plan(plan, analysis, find_groups(analysis))

    def analyses(self) -> tuple[Analysis, Analysis]:
        """What is known of the axes of both."""
        feed = _cut_to_fit(self._inputs.feeds(1, 1)[0], self.pruned)
        shapes = {name: feed[name].shape for name in self._shapes}
        return self._removal[0], analyse(canonicalise(self.pruned, shapes))

    @cached_property
    def _inputs(self) -> Inputs:
        return Inputs(self.original, self._shapes, self._removal[0], self._seed)

    @cached_property
    def _ports(self) -> Kept:
        analysis, keeps = self._removal
        return kept_of_ports(analysis.ports, keeps)

    def equivalence(self, data: Dataset | None = None) -> Equivalence:
        """Compare with the masked original.

        A model that was quantized after it was pruned has other numbers everywhere, on purpose: of
        such it cannot be told, and fidelity says how close it is.

        Args:
            data: first samples of which are inputs beside the random ones.

        Raises:
            PlanError: the plan does not fit the original.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        if is_quantized(self.pruned) and not is_quantized(self.original):
            return Equivalence(finding="cannot tell", reason=_QUANTIZED)
        analysis, keeps = self._removal
        pruned = self._unrepaired()
        return self._inputs.prove(
            lambda feeds: check_equivalence(analysis, keeps, pruned, feeds, self._tolerances), data
        )

    def _unrepaired(self) -> Model:
        """The pruned model with the original's weights where the plan says that it has new ones."""
        repaired = self._plan.repaired if self._plan is not None else {}
        if not repaired:
            return self.pruned
        cut = remove(*self._removal)
        model = made_dense(self.pruned)
        tensors = model.constants
        for name, expected in repaired.items():
            if name not in tensors or hash_of(tensors[name]) != expected:
                raise PlanError(
                    f"the weight {name!r} is not the one that the plan's repair made",
                    why="it has other elements" if name in tensors else "the model has none",
                    hint="was the model changed after pruning, fine-tuned for example? Without "
                    "--plan, fidelity compares such",
                )
        model.set_constants({name: _as_before(name, cut, tensors) for name in repaired})
        return model

    def fidelity(self, data: Dataset | None = None) -> dict[str, Fidelity]:
        """How close the outputs are, by output.

        Args:
            data: inputs of the original; random ones if None.

        Raises:
            RuntimeFailureError: ONNX Runtime cannot run a model, or they differ in their inputs.
        """
        if data is not None:
            return self.evaluate(data).fidelity
        with self._sessions() as (first, second):
            return measure_fidelity(first, second, self._inputs.at_all_sizes(4), self._ports)

    def evaluate(
        self, data: Dataset, metrics: Sequence[MetricLike] = (), *, output: str | None = None
    ) -> Evaluation:
        """Judge both on data; see `Result.evaluate`."""
        with self._sessions() as (first, second):
            return evaluate(first, second, data, metrics, output=output, ports=self._ports)

    @contextmanager
    def _sessions(self) -> Generator[tuple[Session, Session]]:
        with session_of(self.original) as first, session_of(self.pruned) as second:
            wanted, given = ({port.name for port in s.inputs} for s in (first, second))
            if wanted != given:
                raise RuntimeFailureError(
                    "the models do not take the same inputs",
                    why=f"one takes {sorted(wanted)}, the other {sorted(given)}",
                )
            yield first, second

    @property
    def takes_batches(self) -> bool:
        """Whether the original's leading axis is dynamic, so that a batch may have any size."""
        return self._inputs.specs(1) != self._inputs.specs(2)

    def latency(
        self,
        provider: str,
        threads: int,
        batch: int,
        budget_s: float,
        *,
        optimization: Optimization = "all",
        strict: bool = False,
    ) -> Speedup:
        """Measure both, interleaved.

        Args:
            provider: execution provider.
            threads: threads within an operator; 0 for all cores.
            batch: size of a dynamic leading axis.
            budget_s: seconds to measure for.
            optimization: ONNX Runtime's own graph optimization.
            strict: whether it is an error if a node falls back to another provider.

        Raises:
            ProviderUnavailableError: the provider is not there, or if strict does not run it all.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        feed = self._inputs.feeds(1, batch)[0]
        return compare_models(
            self.original,
            self.pruned,
            feed,
            _cut_to_fit(feed, self.pruned),
            provider=provider,
            threads=threads,
            budget_s=budget_s,
            seed=self._seed,
            optimization=optimization,
            strict=strict,
        )

    def observe(self, load: Load, batch: int = 1) -> tuple[Observation, Observation]:
        """What each model takes by itself, in a process of its own: see `observe_both`.

        Args:
            load: how to load them.
            batch: size of a dynamic leading axis.

        Raises:
            ProviderUnavailableError: the provider does not start.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        feed = self._inputs.feeds(1, batch)[0]
        feeds = feed, _cut_to_fit(feed, self.pruned)
        return observe_both((self.original, self.pruned), feeds, load)


def _as_before(name: str, cut: Model, tensors: Mapping[str, Tensor]) -> Tensor:
    """A weight without repair; a bias that the original has not adds nothing."""
    if name in cut.constants:
        return cut.constants[name]
    return ArrayTensor(np.zeros_like(tensors[name].numpy()), tensors[name].elem_type)


def _cut_to_fit(feed: Feeds, model: Model) -> Feeds:
    """Inputs for a model that takes fewer channels than the one that they were made for."""
    first, second = (input_shapes(model.proto, variant=variant) for variant in (0, 1))
    fitting = dict(feed)
    for name in feed.keys() & first.keys():
        pairs = zip(first[name], second[name], strict=True)
        fitting[name] = feed[name][(..., *(slice(a if a == b else None) for a, b in pairs))]
    return fitting
