"""Ready-made pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from onnxprune.coupling.plan import Plan
from onnxprune.data.batches import Batch
from onnxprune.errors import UsageError
from onnxprune.ir.model import Model
from onnxprune.passes import (
    ApplyPlan,
    FoldConstants,
    FoldEmpty,
    PermuteChannels,
    Quantize,
    RemoveBlocks,
    RemoveChannels,
    RemoveRedundant,
    Repair,
    Sparsify,
    StoreSparsely,
)
from onnxprune.passes.work import Pass
from onnxprune.pipelines.inputs import Shapes
from onnxprune.pipelines.pipeline import Pipeline
from onnxprune.pipelines.result import Result

_AMOUNTS = ("ratio", "threshold", "ratios", "targets")
"""Options that say how many channels go."""


def pruning(
    *,
    steps: int = 1,
    schedule: str = "linear",
    repair: bool | None = None,
    blocks: int | Literal["auto"] = 0,
    sparsify: Mapping[str, Any] | None = None,
    quantize: Quantize | None = None,
    sparse_storage: bool = False,
    **options: Any,
) -> Pipeline:
    """The main job as a pipeline.

    Args:
        steps: in how many steps channels are removed and weights become zero; each scores what the
            one before left, and repaired.
        schedule: how much is left after each of them, one of `SCHEDULES`.
        repair: whether what is left is fitted to the original, on random inputs where there is no
            data; None repairs if there is data.
        blocks: how many residual blocks go first; then channels go only if it is said how many.
            With ``auto`` blocks and channels go together, to meet the targets.
        sparsify: options of `Sparsify`; then channels go only if it is said how many. Channels
            that have become zero as a whole go as well, unless there is a pattern that their
            absence would shift.
        quantize: how what is left is quantized in the end, if it is.
        sparse_storage: whether weights are written without their zeros where that is smaller.
        options: those of `RemoveChannels`.

    Raises:
        UsageError: an option makes no sense.
    """
    if steps < 1 or (steps > 1 and options.get("threshold") is not None):
        raise UsageError(
            f"{steps} steps make no sense here",
            why="a threshold says what goes at once" if steps > 1 else "there is one at least",
        )
    passes: list[Pass] = [FoldConstants()]
    seed = options.get("seed", 0)
    if blocks == "auto":
        options = {**options, "blocks": True}
    elif blocks:
        ignore = options.get("ignore", ())
        passes += [RemoveBlocks(count=blocks, ignore=ignore, seed=seed), FoldEmpty()]
    alone = bool(blocks and blocks != "auto") or sparsify is not None
    wants_channels = not alone or any(options.get(name) for name in _AMOUNTS)
    if not wants_channels:
        passes += _repair(repair, seed) if blocks else []
    for step in range(1, steps + 1):
        way: dict[str, Any] = {"way": step / steps, "schedule": schedule}
        if wants_channels:
            passes += [RemoveChannels(**options, **way), FoldEmpty(), *_repair(repair, seed)]
        if sparsify is not None:
            ignore = options.get("ignore", ())
            shared = {"repair": repair is not False, "ignore": ignore, "seed": seed}
            passes += _sparsify({**shared, **sparsify, **way})
    if sparsify is not None and not sparsify.get("pattern"):
        known = {name: options[name] for name in ("ignore", "allow_io") if name in options}
        passes.append(RemoveRedundant(**known, round_to=options.get("round_to", "auto")))
    return Pipeline([*passes, *_ending(quantize, sparse_storage)])


def lossless(
    *, quantize: Quantize | None = None, sparse_storage: bool = False, **options: Any
) -> Pipeline:
    """Only what is provably without effect goes.

    Args:
        quantize: how what is left is quantized in the end, if it is.
        sparse_storage: see `pruning`.
        options: those of `RemoveRedundant`.
    """
    passes: list[Pass] = [FoldConstants(), RemoveRedundant(**options)]
    return Pipeline([*passes, *_ending(quantize, sparse_storage)])


def quantizing(quantize: Quantize, *, sparse_storage: bool = False) -> Pipeline:
    """Nothing is pruned: the model is quantized.

    Args:
        quantize: how.
        sparse_storage: see `pruning`.
    """
    return Pipeline([FoldConstants(), *_ending(quantize, sparse_storage)])


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
        data: calibration data for criteria that look at activations, and for repair.
        options: further options of `pruning`.
    """
    return pruning(ratio=ratio, **options).run(model, data=data)


def apply_plan(
    plan: Plan,
    model: Model | str | os.PathLike[str],
    *,
    input_shapes: Shapes | None = None,
    data: Iterable[Batch] | None = None,
    repair: bool | None = None,
    seed: int = 0,
    sparse_storage: bool = False,
) -> Result:
    """Replay a plan on a model of the same architecture.

    Args:
        plan: what stays.
        model: a loaded model or a path.
        input_shapes: shapes of dynamic inputs, by name.
        data: data for repair; a plan does not hold repaired weights.
        repair: see `pruning`.
        seed: of random inputs.
        sparse_storage: see `pruning`.

    Raises:
        PlanError: the plan does not fit the model.
    """
    steps: list[Pass] = [FoldConstants(), ApplyPlan(plan=plan), FoldEmpty(), *_repair(repair, seed)]
    return Pipeline([*steps, *_ending(None, sparse_storage)]).run(
        model, input_shapes=input_shapes, data=data
    )


def _ending(quantize: Quantize | None, sparse_storage: bool) -> list[Pass]:
    return [*([] if quantize is None else [quantize]), *[StoreSparsely()] * sparse_storage]


def _sparsify(wanted: Mapping[str, Any]) -> list[Pass]:
    """A step towards zeros; channels are put in order for a pattern before the last."""
    last = Sparsify(**wanted)
    if not last.pattern or last.way < 1:
        return [last]
    return [PermuteChannels(pattern=last.pattern, ignore=last.ignore, seed=last.seed), last]


def _repair(repair: bool | None, seed: int) -> list[Repair]:
    return [] if repair is False else [Repair(random=repair is True, seed=seed)]
