"""Latency of two models, in sessions as they would ship: fully optimised, if not said otherwise."""

from __future__ import annotations

from functools import partial

from onnxprune.data.random import Feeds
from onnxprune.ir.model import Model
from onnxprune.runtime import Optimization
from onnxprune.verify.sessions import session_of
from onnxprune.verify.speed import Speedup, compare_latency


def compare_models(
    original: Model,
    pruned: Model,
    feed: Feeds,
    pruned_feed: Feeds | None = None,
    *,
    provider: str,
    threads: int,
    budget_s: float,
    seed: int,
    confidence: float = 0.95,
    optimization: Optimization = "all",
    strict: bool = False,
) -> Speedup:
    """Measure both models, interleaved; see `compare_latency`.

    Args:
        original: the model to compare with.
        pruned: the other one.
        feed: the inputs of the original.
        pruned_feed: the inputs of the other one; the same if None.
        provider: execution provider.
        threads: threads within an operator; 0 for all cores.
        budget_s: seconds to measure for.
        seed: of the bootstrap and the order of turns.
        confidence: of the interval.
        optimization: ONNX Runtime's own graph optimization.
        strict: whether it is an error if a node falls back to another provider.

    Raises:
        ProviderUnavailableError: the provider is not there; if strict, it does not run all nodes.
        RuntimeFailureError: ONNX Runtime cannot run a model.
    """
    open_session = partial(
        session_of, provider=provider, threads=threads, optimization=optimization, strict=strict
    )
    with open_session(original) as first, open_session(pruned) as second:
        return compare_latency(
            first, second, feed, pruned_feed, budget_s=budget_s, seed=seed, confidence=confidence
        )
