"""Ready-made pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from onnxprune.coupling.plan import Plan
from onnxprune.data.batches import Batch
from onnxprune.ir.model import Model
from onnxprune.passes import ApplyPlan, FoldConstants, FoldEmpty, RemoveChannels
from onnxprune.passes.work import Pass
from onnxprune.pipelines.inputs import Shapes
from onnxprune.pipelines.pipeline import Pipeline
from onnxprune.pipelines.result import Result


def pruning(**options: Any) -> Pipeline:
    """The main job as a pipeline; options are those of `RemoveChannels`."""
    return Pipeline([FoldConstants(), RemoveChannels(**options), FoldEmpty()])


def prune(
    model: Model | str | os.PathLike[str],
    ratio: float = 0.3,
    *,
    data: Iterable[Batch] | None = None,
    **options: Any,
) -> Result:
    """Remove a fraction of a model's channels.

    Args:
        model: a loaded model or a path.
        ratio: fraction to remove, in [0, 1).
        data: calibration data for criteria that look at activations.
        options: further options of `RemoveChannels`.
    """
    return pruning(ratio=ratio, **options).run(model, data=data)


def apply_plan(
    plan: Plan,
    model: Model | str | os.PathLike[str],
    *,
    input_shapes: Shapes | None = None,
) -> Result:
    """Replay a plan on a model of the same architecture.

    Raises:
        PlanError: the plan does not fit the model.
    """
    steps: list[Pass] = [FoldConstants(), ApplyPlan(plan=plan), FoldEmpty()]
    return Pipeline(steps).run(model, input_shapes=input_shapes)
