"""Sessions over models in memory; one too large for a message goes through a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from onnxprune.ir.model import Model
from onnxprune.ir.save import EXTERNAL_THRESHOLD_BYTES
from onnxprune.runtime import Optimization, Session


@contextmanager
def session_of(
    model: Model,
    *,
    provider: str = "cpu",
    threads: int | None = None,
    optimization: Optimization = "none",
    quiet: bool = False,
) -> Generator[Session]:
    """A session over `model`, unoptimised and on all cores unless said otherwise; see `Session`."""
    count = threads or os.cpu_count() or 1
    open_session = partial(
        Session, provider=provider, threads=count, optimization=optimization, quiet=quiet
    )
    if sum(tensor.nbytes for tensor in model.constants.values()) <= EXTERNAL_THRESHOLD_BYTES:
        yield open_session(model.to_bytes())
        return
    with tempfile.TemporaryDirectory(prefix="onnxprune-") as folder:
        path = Path(folder) / "model.onnx"
        model.save(path, external=True)
        yield open_session(path)
