"""Where TensorRT keeps the engines that it builds: a folder for each model.

TensorRT names its engines after the graph and not after the weights, so that an original and its
pruned model, or two checkpoints, would take each other's engine out of a common folder and give
wrong results without a word. What it learns about the speed of kernels (the timing cache) is true
of the device, and is shared.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from onnxprune.runtime.providers import Provider

_LOG = logging.getLogger(__name__)

_HASH_DIGITS = 32


def with_engine_caches(
    provider: Provider, model_sha256: str, version: str, folder: Path | None
) -> Provider:
    """Returns the provider with caches for one model, where it is TensorRT.

    Args:
        provider: The provider as asked for; options that it has stay as they are.
        model_sha256: Hash of the model with its weights, in hexadecimal; empty where nobody
            knows it, and then no engine is kept.
        version: ONNX Runtime's version; engines of another one are not taken.
        folder: The folder for all caches; None if the user wants none.
    """
    if not provider.builds_engines or folder is None or not model_sha256:
        return provider
    place = f"{model_sha256[:_HASH_DIGITS]}-{version}"
    if provider.options:
        # The options change the engine, and not all of them its name.
        place += f"-{_hash_of(provider.options)}"
    caches = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder / "tensorrt" / place),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder / "tensorrt" / f"timing-{version}"),
    }
    return replace(provider, options={**caches, **provider.options})


def made(provider: Provider, asked: Provider) -> Provider:
    """Makes the folders of caches that were added; without them if they cannot be made.

    Args:
        provider: What `with_engine_caches` returned.
        asked: The provider as asked for.
    """
    try:
        for name in ("trt_engine_cache_path", "trt_timing_cache_path"):
            if name in provider.options and name not in asked.options:
                folder = Path(provider.options[name])
                _LOG.debug("%s %s", "cache at" if folder.exists() else "new cache at", folder)
                folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return asked  # a cache is for speed only
    return provider


def _hash_of(options: Mapping[str, str]) -> str:
    return sha256(repr(sorted(options.items())).encode()).hexdigest()[:8]
