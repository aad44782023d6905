"""Ways of pruning a network that are compared, by the options of the report."""

import argparse
from collections.abc import Iterator
from itertools import product
from typing import Any

from accuracy.judge import Way, share

import onnxprune as op
from onnxprune.passes import FoldConstants, FoldEmpty, Quantize, RemoveBlocks, Repair
from onnxprune.passes.select.blocks import BLOCK_CRITERIA
from onnxprune.pipelines.pipeline import Pipeline
from onnxprune.pipelines.presets import pruning, quantizing

BUDGETED = "budget"
"""Stands for selection within the budget, beside the selectors by ratio."""
RANDOM_DRAWS = 5
"""So often are blocks drawn at random."""
_HALVINGS = 7
_MOST = 0.98
"""Between 0 and this the ratio is sought."""


def repairs(options: argparse.Namespace) -> tuple[bool, ...]:
    """Whether what is left is fitted: no, yes, or once each."""
    return {"no": (False,), "yes": (True,), "both": (False, True)}[options.repair]


def channel_ways(
    model: op.Model, calibration: op.Dataset, options: argparse.Namespace
) -> Iterator[Way]:
    """Channels go: each criterion with each selection, at each budget."""
    wanted = product(options.budgets, options.criteria, options.selections)
    for budget, criterion, selection in wanted:
        title = f"{options.target} {budget:g}"
        within = _within(model, calibration, budget, criterion, selection, options)
        for course, repair, mode in product(
            _courses(options), repairs(options), _quantized(options)
        ):
            pipeline = _pruning(course, mode, repair=None if repair else False, **within)
            yield Way(title, criterion, selection, pipeline, *course, repair, mode)


def sparse_ways(options: argparse.Namespace) -> Iterator[Way]:
    """Single weights become zero: each method in each scope, as many as each amount says."""
    wanted = product(options.sparsity, options.methods, options.scopes, _courses(options))
    for amount, method, scope, course in wanted:
        is_pattern = ":" in amount
        if is_pattern and scope != "uniform":
            continue  # a pattern is the same in every layer
        how: dict[str, Any] = {"pattern": amount} if is_pattern else {"sparsity": float(amount)}
        how |= {"method": method, "scope": scope}
        title = amount if is_pattern else f"sparsity {amount}"
        for repair, mode in product(repairs(options), _quantized(options)):
            if _is_told(method, course[0], repair, options):
                pipeline = _pruning(course, mode, repair=None if repair else False, sparsify=how)
                yield Way(title, method, scope, pipeline, *course, repair, mode)


def quantized_ways(options: argparse.Namespace) -> Iterator[Way]:
    """Nothing goes, all is quantized."""
    for mode in options.quantize:
        yield Way("nothing pruned", "", "", quantizing(Quantize(mode=mode)), quantized=mode)


def block_ways(count: int, repair: bool) -> Iterator[Way]:
    """Residual blocks go, by every criterion."""
    fitting = [Repair()] if repair else []
    for criterion in BLOCK_CRITERIA:
        for seed in range(RANDOM_DRAWS if criterion == "random" else 1):
            blocks = RemoveBlocks(count=count, criterion=criterion, seed=seed)
            pipeline = Pipeline([FoldConstants(), blocks, FoldEmpty(), *fitting])
            selection = f"blocks {seed}" if criterion == "random" else "blocks"
            yield Way(f"{count} blocks", criterion, selection, pipeline, repair=repair)


def latency_way(count: int, latency: float, repair: bool) -> Way:
    """Channels go instead of blocks, to the same measured latency."""
    wanted = f"latency={latency:.3f}"
    pipeline = pruning(targets=(wanted,), criterion="obs", repair=None if repair else False)
    return Way(f"{count} blocks", "obs", "channels", pipeline, repair=repair)


def _courses(options: argparse.Namespace) -> list[tuple[int, str]]:
    """Numbers of steps with schedules; in one step they are all the same."""
    return [
        (steps, schedule)
        for steps in options.steps
        for schedule in ([""] if steps == 1 else options.schedules)
    ]


def _quantized(options: argparse.Namespace) -> list[str]:
    """Modes of quantization, after none at all."""
    return ["", *options.quantize]


def _is_told(method: str, steps: int, repair: bool, options: argparse.Namespace) -> bool:
    """Whether a row says anything new: one method always fits, another looks at weights alone."""
    if method == "sparsegpt":
        return repair is repairs(options)[-1]
    return repair or method != "magnitude" or steps == options.steps[0]


def _pruning(course: tuple[int, str], mode: str, **options: Any) -> Pipeline:
    steps, schedule = course
    quantize = Quantize(mode=mode) if mode else None
    return pruning(steps=steps, schedule=schedule or "linear", quantize=quantize, **options)


def _within(
    model: op.Model,
    calibration: op.Dataset,
    budget: float,
    criterion: str,
    selection: str,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Options that bring a network within the budget: it, or the smallest ratio that does."""
    if selection == BUDGETED:
        return {"criterion": criterion, "targets": (f"{options.target}={budget}",)}

    def at(ratio: float) -> dict[str, Any]:
        return {"criterion": criterion, "ratio": ratio, "scope": selection, "round_to": 1}

    low, high = 0.0, _MOST
    for _ in range(_HALVINGS):
        ratio = (low + high) / 2
        tried = pruning(**at(ratio), repair=False).run(model, data=calibration)
        if share(tried, options.target, options.measure) <= budget:
            high = ratio
        else:
            low = ratio
    return at(high)
