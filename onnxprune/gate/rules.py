"""What a policy may ask for: a class for each table of the file, a field for each key."""

from __future__ import annotations

from dataclasses import dataclass, fields

from onnxprune.errors import UsageError
from onnxprune.passes.select.targets import Target
from onnxprune.toml import Amount, Texts
from onnxprune.verify.evaluation import metric_of
from onnxprune.verify.tolerance import Tolerances


@dataclass(frozen=True, kw_only=True)
class EquivalenceRule:
    """``[equivalence]``: the candidate is the original without what a plan removes.

    Attributes:
        plan: the plan.
        tolerance: see `Tolerances.parse`.
        data: name of a data set, samples of which are inputs beside random ones.
    """

    plan: str
    tolerance: Texts = ()
    data: str = ""

    def __post_init__(self) -> None:
        """Check that the tolerances can be read."""
        Tolerances.parse(self.tolerance)


@dataclass(frozen=True, kw_only=True)
class StructureRule:
    """``[structure]``: what the candidate's file is like.

    Attributes:
        inputs_outputs_unchanged: names, types, shapes and order of inputs and outputs stay.
        metadata_kept: producer, properties and doc strings stay.
        min_opset: the least version of ONNX's own operators.
        max_opset: the greatest.
        max_ir_version: the greatest version of the file format.
        operators: the only types that may occur, as ``TYPE`` or ``DOMAIN.TYPE``.
        no_operators: types that must not.
    """

    inputs_outputs_unchanged: bool = False
    metadata_kept: bool = False
    min_opset: int = 0
    max_opset: int = 0
    max_ir_version: int = 0
    operators: Texts = ()
    no_operators: Texts = ()


@dataclass(frozen=True, kw_only=True)
class CostRule:
    """``[cost]``: what the candidate may cost at most: a share of the original, or an amount.

    Attributes:
        params: parameters.
        macs: multiply-accumulates of one sample.
        size: bytes of the file.
        memory: bytes of activations held at once for one sample.
    """

    params: Amount = ""
    macs: Amount = ""
    size: Amount = ""
    memory: Amount = ""

    @property
    def targets(self) -> list[Target]:
        """What is limited, as targets."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return [Target.parse(f"{name}={amount}") for name, amount in given.items() if amount != ""]

    def __post_init__(self) -> None:
        """Check that the amounts can be read."""
        _ = self.targets


@dataclass(frozen=True, kw_only=True)
class DataRule:
    """``[data.NAME]``: samples to judge by; see `open_data`.

    Attributes:
        source: an ``.npz``, an ``.npy``, a folder, or ``module:function``.
        labels: name of the array that holds the labels.
        samples: how many to use; 0 for all.
        batch: samples of a batch; 0 for whole feeds.
    """

    source: str
    labels: str = ""
    samples: int = 512
    batch: int = 32

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.samples, self.batch) < 0:
            raise UsageError("samples and batch are numbers from 1 on, or 0 for all")


@dataclass(frozen=True, kw_only=True)
class FidelityRule:
    """``[[fidelity]]``: how close outputs are to the original's.

    Attributes:
        data: name of a data set; random inputs if there is none.
        output: the output that is meant; each of them if there is none.
        min_cosine: least cosine.
        min_sqnr_db: least ratio of signal to noise, in decibels.
        max_abs: largest absolute difference.
        min_agreement: least share of rows of which the largest entry is the same.
    """

    data: str = ""
    output: str = ""
    min_cosine: float | None = None
    min_sqnr_db: float | None = None
    max_abs: float | None = None
    min_agreement: float | None = None

    def __post_init__(self) -> None:
        """Check that there is a limit."""
        limits = (self.min_cosine, self.min_sqnr_db, self.max_abs, self.min_agreement)
        if all(limit is None for limit in limits):
            raise UsageError(
                "this asks for nothing", hint="give min_cosine, min_sqnr_db, max_abs, min_agreement"
            )


@dataclass(frozen=True, kw_only=True)
class MetricRule:
    """``[[metric]]``: how good the candidate is.

    Attributes:
        name: ``top1``, ``top5``, ``cosine``, ``agreement`` or ``module:function``; more is better.
        data: name of a data set.
        output: name of the output that holds the scores; the only one that can, if there is none.
        minimum: least value of the candidate, on these samples.
        max_drop: how much less than the original's it may be; of a share, 0.01 is one point.
        confidence: of the interval of the drop.
    """

    name: str
    data: str
    output: str = ""
    minimum: float | None = None
    max_drop: float | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Check that the metric is there and that there is a limit."""
        metric_of(self.name, self.output or None)
        _check_confidence(self.confidence)
        if self.minimum is None and self.max_drop is None:
            raise UsageError("this asks for nothing", hint="give minimum or max_drop")


@dataclass(frozen=True, kw_only=True)
class SpeedRule:
    """``[[speed]]``: how fast the candidate is, on a provider.

    Attributes:
        provider: execution provider, with its options.
        strict_provider: whether it is an error if a node falls back to another provider.
        threads: threads within an operator; 0 for all cores.
        batch: size of a dynamic leading axis.
        min_speedup: least ratio of the original's latency to the candidate's.
        max_latency_ms: largest latency of the candidate, in milliseconds.
        percentile: which one of the latencies that is: 50, 90 or 99.
        budget: seconds to measure for.
    """

    provider: str = "cpu"
    strict_provider: bool = False
    threads: int = 1
    batch: int = 1
    min_speedup: float | None = None
    max_latency_ms: float | None = None
    percentile: int = 50
    budget: float = 5.0

    def __post_init__(self) -> None:
        """Check the numbers and that there is a limit."""
        if self.threads < 0 or self.batch < 1 or self.budget <= 0:
            raise UsageError("threads are 0 or more, batch is 1 or more, budget is above 0")
        if self.percentile not in (50, 90, 99):
            raise UsageError(f"percentile = {self.percentile}", hint="choose from 50, 90, 99")
        if self.min_speedup is None and self.max_latency_ms is None:
            raise UsageError("this asks for nothing", hint="give min_speedup or max_latency_ms")


@dataclass(frozen=True, kw_only=True)
class BaselineRule:
    """``[baseline]``: no check is worse than in the last release.

    Attributes:
        file: where its measurements are; ``--update-baseline`` writes it.
        tolerance: by what share of it a number may be worse.
    """

    file: str
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        """Check the number."""
        if not 0 <= self.tolerance < 1:
            raise UsageError(f"tolerance = {self.tolerance}", hint="write a share, such as 0.02")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence = {confidence}", hint="it lies between 0 and 1")
