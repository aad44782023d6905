"""Pipelines: passes in a row."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from time import perf_counter

from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from onnxprune.coupling.axis_plan import compose
from onnxprune.coupling.plan import KeptAxes, Plan, axis_plans, hash_of
from onnxprune.coupling.ports import Port, as_entries
from onnxprune.data.batches import Batch
from onnxprune.errors import CannotTellError, EquivalenceError
from onnxprune.ir.load import load
from onnxprune.ir.merge import merge_views
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import sparse_again, written_out
from onnxprune.passes.quantize.quantize import check_quantizing
from onnxprune.passes.work import Pass, Work
from onnxprune.pipelines.inputs import Shapes
from onnxprune.pipelines.result import Result
from onnxprune.pipelines.spec import parse_pipeline, spec_of

_LOG = logging.getLogger(__name__)

Progress = Callable[[str], None]
"""Called with the name of each stage when it begins."""


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
        data: Iterable[Batch] | None = None,
        progress: Progress | None = None,
        verify_each: bool = False,
    ) -> Result:
        """Run all passes over a model.

        Args:
            model: a loaded model, which is left as it is, or a path.
            input_shapes: shapes of dynamic inputs, by name.
            data: calibration data for criteria that look at activations, such as `open_data` gives.
            progress: called with the name of each pass when it begins.
            verify_each: whether the result of each pass is verified; an error names the pass.

        Raises:
            ModelError: the model cannot be handled.
            UsageError: an option makes no sense, or a pass follows quantization.
            NothingToPruneError: a model that is to be quantized is so already.
            EquivalenceError: with `verify_each`, a pass gave a wrong result.
        """
        source = model if isinstance(model, Model) else load(model)
        check_quantizing(self.passes, source, data)
        work = Work(source, source, dict(input_shapes or {}), data)
        # Sums come out the same on any number of cores; and BLAS threads and those of ONNX Runtime
        # are in each other's way.
        with _collector_paused(), threadpool_limits(1, user_api="blas"):
            for step in self.passes:
                if progress is not None:
                    progress(spec_of(step))
                start = perf_counter()
                report = step.run(work)
                report.name = spec_of(step)
                report.seconds = perf_counter() - start
                work.reports.append(report)
                _LOG.info("%s", "; ".join([f"{report.name}: {report.seconds:.2f} s", *report.did]))
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
        model = work.unquantized or work.model
        if merge:
            model = merge_views(model, work.provenance)
        plan = Plan("", settings={"pipeline": str(self)}, original=work.original)
        steps = _planned(work)
        plan.initializers = _together(steps)
        plan.steps = tuple(steps) if len(steps) > 1 else ()
        opened = frozenset[Port]().union(*(r.analysis.opened for r in work.removals))
        plan.allow_io = as_entries(opened)
        plan.model_sha256 = work.original.sha256
        fitted = frozenset[str]().union(
            *(r.reweighted.names for r in work.removals if r.reweighted),
            *(r.changed for r in work.removals),
        )
        constants = written_out(model) if fitted else model.constants
        left = sorted(fitted & constants.keys())
        plan.repaired = {name: hash_of(constants[name]) for name in left}
        if merge:
            model = sparse_again(model, work.original, work.provenance, fitted)
        return Result(
            work.original,
            model if work.unquantized is None else work.model,
            plan,
            list(work.removals),
            work.reports,
            work.seconds,
            work.input_shapes,
            unquantized=None if work.unquantized is None else model,
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


def _planned(work: Work) -> list[KeptAxes]:
    """What each removal keeps of the original weights that are left before it."""
    planned: list[KeptAxes] = []
    for removal in work.removals:
        constants = removal.analysis.canonical.model.constants
        values = removal.analysis.values
        names = (n for n in work.known if n in values and n in constants and n in work.provenance)
        kept = {name: axis_plans(values[name], removal.keeps) for name in names}
        planned.append({name: axes for name, axes in kept.items() if axes})
    return [kept for kept in planned if kept]


def _together(steps: Iterable[KeptAxes]) -> KeptAxes:
    """What several removals keep of each original weight."""
    whole: KeptAxes = {}
    for step in steps:
        for name, axes in step.items():
            before = whole.setdefault(name, {})
            for axis, kept in axes.items():
                before[axis] = compose(before[axis], kept, name) if axis in before else kept
    return whole
