"""Sessions over models in memory; one too large for a message goes through a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from onnxprune.data.random import Feeds
from onnxprune.ir.encode import inline_bytes
from onnxprune.ir.model import Model
from onnxprune.ir.save import EXTERNAL_THRESHOLD_BYTES
from onnxprune.progress import track
from onnxprune.runtime import Load, Observation, Optimization, Session, in_fresh_process, observe
from onnxprune.runtime.providers import parse_provider


@contextmanager
def session_of(
    model: Model,
    *,
    provider: str = "cpu",
    threads: int | None = None,
    optimization: Optimization = "none",
    quiet: bool = False,
    strict: bool = False,
) -> Generator[Session]:
    """A session over `model`, unoptimised and on all cores unless said otherwise; see `Session`."""
    open_session = partial(
        Session,
        provider=provider,
        threads=threads or os.cpu_count() or 1,
        optimization=optimization,
        quiet=quiet,
        strict=strict,
        model_sha256=_hash_for(model, provider),
    )
    if inline_bytes(model) <= EXTERNAL_THRESHOLD_BYTES:
        yield open_session(model.to_bytes())
        return
    with tempfile.TemporaryDirectory(prefix="onnxprune-") as folder:
        path = Path(folder) / "model.onnx"
        model.save(path, external=True)
        yield open_session(path)


def observe_model(model: Model, feed: Feeds, load: Load) -> Observation:
    """What a model takes by itself: memory, time to load, nodes and times by provider.

    It is loaded from a file, as it would ship, in a process of its own.

    Args:
        model: the model.
        feed: a tensor for each input.
        load: how to load it; 0 threads take all cores.

    Raises:
        ProviderUnavailableError: the provider does not start.
        RuntimeFailureError: ONNX Runtime cannot load or run the model, or crashed.
    """
    load = replace(load, threads=load.threads or os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="onnxprune-") as folder:
        path = Path(folder) / "model.onnx"
        model.save(path)
        return in_fresh_process(observe, path, feed, load, _hash_for(model, load.provider))


def observe_both(
    models: tuple[Model, Model], feeds: tuple[Feeds, Feeds], load: Load
) -> tuple[Observation, Observation]:
    """What two models take, each by itself; see `observe_model`.

    Args:
        models: the models.
        feeds: a tensor for each input, for each of them.
        load: how to load them.

    Raises:
        ProviderUnavailableError: the provider does not start.
        RuntimeFailureError: ONNX Runtime cannot load or run a model, or crashed.
    """
    pairs = track([*zip(models, feeds, strict=True)], "measuring each by itself")
    first, second = (observe_model(model, feed, load) for model, feed in pairs)
    return first, second


def _hash_for(model: Model, provider: str) -> str:
    """The hash of a model with its weights, where the provider has a use for it."""
    return model.sha256 if parse_provider(provider).builds_engines else ""
