"""What a way of pruning leaves of a network: its accuracy, its costs, and the proof."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import onnxprune as op
from onnxprune.cost.ledger import QUANTITIES, Ledger
from onnxprune.cost.sparsity import weight_zeros
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.encode import compressed_bytes
from onnxprune.pipelines.pipeline import Pipeline
from onnxprune.runtime import Session
from onnxprune.verify.evaluation import evaluate
from onnxprune.verify.sessions import session_of

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """A network with the data that judges it and the data that its channels are scored on."""

    model: Path
    data: Path
    labels: str
    calibration: Path

    def labels_of(self, path: Path) -> str | None:
        """The name of the labels in a file, if it has them."""
        if path.suffix != ".npz" or not path.exists():
            return None
        with np.load(path) as arrays:
            return self.labels if self.labels in arrays else None


@dataclass(frozen=True, slots=True)
class Way:
    """A pipeline, and what tells it from others.

    Attributes:
        title: what all that it is compared with have in common.
        criterion: the criterion for channels or blocks, or the method for single weights.
        selection: how these are selected, or the scope.
        pipeline: the passes.
        steps: their number.
        schedule: how much is left after each of them; "" if there is one.
        repair: whether what is left is fitted.
        quantized: the mode of quantization; "" if there is none.
    """

    title: str
    criterion: str
    selection: str
    pipeline: Pipeline
    steps: int = 1
    schedule: str = ""
    repair: bool = False
    quantized: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a network; costs are shares of the original's, accuracy is in per cent.

    `low` and `high` are the ends of the 95 % interval of what it gained, in points. `sqnr_db` is of
    the outputs on held-out data, `zeros` the share of zeros among all weights.
    """

    model: str
    title: str
    criterion: str
    selection: str
    steps: int
    schedule: str
    repair: bool
    quantized: str
    draw: int
    accuracy: float
    original: float
    low: float
    high: float
    sqnr_db: float
    zeros: float
    macs: float
    params: float
    original_bytes: int
    size_bytes: int
    compressed_bytes: int
    latency: float


class Remembering(Session):
    """A model that runs each batch of one data set once, however often it is gone through."""

    def __init__(self, model: op.Model) -> None:
        """Start a session of the model."""
        super().__init__(model.to_bytes())
        self._made: list[dict[str, Array]] = []
        self._next = 0

    def restart(self) -> None:
        """The first batch comes next."""
        self._next = 0

    def run(
        self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """What the model gives for the next batch."""
        if self._next == len(self._made):
            self._made.append(super().run(feeds, outputs))
        self._next += 1
        return self._made[self._next - 1]


@dataclass(frozen=True, slots=True)
class Judge:
    """A network with the data that judges it and that its channels are scored on.

    `seconds` says how long a latency is measured.
    """

    name: str
    model: op.Model
    original: Remembering
    test: op.Dataset
    calibration: op.Dataset
    draw: int
    seconds: float

    def row(self, way: Way) -> Row:
        """What is left of the network; that it is proven is part of it."""
        result = way.pipeline.run(self.model, data=self.calibration)
        result.verify()
        costs, whole = _costs(_analysed(result.proven)), _costs(_analysed(self.model))
        self.original.restart()
        with session_of(result.model) as pruned:
            found = evaluate(self.original, pruned, self.test, ["top1"])
        score = found.scores["top1"]
        low, high = score.paired.interval() if score.paired is not None else (-1.0, 1.0)
        return Row(
            self.name,
            way.title,
            way.criterion,
            way.selection,
            way.steps,
            way.schedule,
            way.repair,
            way.quantized,
            self.draw,
            100 * score.pruned,
            100 * (score.original or 0.0),
            100 * low,
            100 * high,
            min(fidelity.sqnr_db for fidelity in found.fidelity.values()),
            _zeros(_analysed(result.model)),
            costs["macs"] / whole["macs"],
            costs["params"] / whole["params"],
            len(self.model.to_bytes()),
            len(result.model.to_bytes()),
            compressed_bytes(result.model),
            1 / result.benchmark(budget_s=self.seconds).ratio,
        )


def share(result: op.Result, target: str, seconds: float) -> float:
    """What is left of what a target limits; a latency is measured for some seconds."""
    if target == "latency":
        return 1 / result.benchmark(budget_s=seconds).ratio
    return _costs(_analysed(result.model))[target] / _costs(_analysed(result.original))[target]


def _analysed(model: op.Model) -> Analysis:
    return analyse(canonicalise(model))


def _costs(analysis: Analysis) -> dict[str, float]:
    totals = Ledger(analysis, ()).totals
    return {quantity: totals[quantity] for quantity in QUANTITIES if quantity != "latency"}


def _zeros(analysis: Analysis) -> float:
    weights = list(weight_zeros(analysis))
    return sum(weight.zeros for weight in weights) / sum(weight.numbers for weight in weights)
