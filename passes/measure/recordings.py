"""What the original makes of data, kept in files: many trials are compared with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxprune.coupling.analysis import Analysis
from onnxprune.data.batches import Batch
from onnxprune.data.random import Feeds
from onnxprune.data.spool import Spool, spool
from onnxprune.errors import UsageError
from onnxprune.progress import track
from onnxprune.verify.fidelity import tensor_outputs
from onnxprune.verify.sessions import session_of


@dataclass(frozen=True, slots=True)
class Recordings:
    """Batches, each with the outputs of the original.

    Attributes:
        batches: in files, so that other processes can read them.
        samples: number of samples.
        digest: a name for the model's structure, the inputs, and what the model makes of them.
    """

    batches: Spool[tuple[Batch, Feeds]]
    samples: int
    digest: str

    def __iter__(self) -> Iterator[tuple[Batch, Feeds]]:
        """Go through the batches, one in memory at a time."""
        return iter(self.batches)


def record(
    analysis: Analysis, data: Iterable[Batch], folder: Path, samples: int | None = None
) -> Recordings:
    """Run a model over data and write down what it makes of it.

    Args:
        analysis: the model.
        data: inputs of it.
        folder: an empty folder that nobody else writes to.
        samples: how many are enough; None for all.

    Raises:
        UsageError: the data cannot be read, does not fit, or there is none.
        RuntimeFailureError: ONNX Runtime cannot run the model.
    """
    digest = hashlib.sha256(_structure(analysis).encode())
    seen = 0

    def ran() -> Iterator[tuple[Batch, Feeds]]:
        nonlocal seen
        with session_of(analysis.canonical.model, optimization="all") as session:
            names = tensor_outputs(session)
            for batch in track(data, "running the original"):
                outputs = dict(session.run(batch.feeds, names))
                for array in (*batch.arrays(), *outputs.values()):
                    digest.update(f"{array.dtype.name}|{array.shape}|".encode())
                    digest.update(np.ascontiguousarray(array).tobytes())
                yield batch, outputs
                seen += batch.size
                if samples is not None and seen >= samples:
                    return

    batches = spool(ran(), folder)
    if not seen:
        raise UsageError("the data holds no samples")
    return Recordings(batches, seen, digest.hexdigest()[:32])


def _structure(analysis: Analysis) -> str:
    nodes = (f"{p.node.op_type}({','.join(p.node.outputs)})" for p in analysis.placed)
    constants = analysis.canonical.model.constants.items()
    return "|".join([*nodes, *(f"{name}{tensor.shape}" for name, tensor in constants)])
