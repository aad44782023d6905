"""What pruned models are judged by: the user's data and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from onnxprune.cli.options import Shapes
from onnxprune.data.dataset import Dataset, open_data
from onnxprune.data.declared import declared_inputs
from onnxprune.errors import UsageError
from onnxprune.ir.model import Model
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.result import Result
from onnxprune.reports.record import Record, describe_evaluation
from onnxprune.verify.evaluation import evaluate, metric_of
from onnxprune.verify.sessions import session_of

SAMPLES = 512
"""So many are used unless said otherwise."""
BATCH = 32
"""So many at a time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options of `data_options` ask for.

    Attributes:
        source: where the data is.
        labels: name of the array that holds the labels, if there are any.
        samples: how many to use; None for all.
        batch: samples of a batch; None for whole feeds.
        metrics: names of metrics.
        scores: name of the output that holds the scores; None for the only one that can.
        seed: of the drawing.
    """

    source: str
    labels: str | None
    samples: int | None
    batch: int | None
    metrics: tuple[str, ...]
    scores: str | None
    seed: int

    def opened(self, model: Model, shapes: Shapes) -> Judge:
        """Open the data, and try it and the metrics on the first batch.

        What is wrong with them is said before the long work, not after it.

        Args:
            model: the original.
            shapes: shapes of inputs that the user gave.

        Raises:
            UsageError: data, labels, metrics and the model do not fit each other.
            RuntimeFailureError: ONNX Runtime cannot run the model.
        """
        data = open_data(
            self.source,
            declared_inputs(model, shapes),
            batch=self.batch,
            limit=self.samples,
            seed=self.seed,
            labels=self.labels,
        )
        with session_of(model) as session:
            evaluate(session, session, islice(data, 1), self.metrics, output=self.scores)
        return Judge(data, self)


@dataclass(frozen=True, slots=True)
class Judge:
    """Data that fits a model, and what to find out with it.

    Attributes:
        data: inputs and labels.
        wanted: what was asked for.
    """

    data: Dataset
    wanted: Wanted

    def judged(self, pair: Result | Comparison) -> Record:
        """What the data says of a pruned model and its original, for the record.

        Raises:
            UsageError: the data cannot be read, or a metric failed.
            RuntimeFailureError: ONNX Runtime cannot run a model.
        """
        found = pair.evaluate(self.data, self.wanted.metrics, output=self.wanted.scores)
        return describe_evaluation(found, self.data)


def calibration_of(options: Mapping[str, Any]) -> Wanted | None:
    """What `--calibration` asks for: data without labels or metrics; None where it is not given.

    Args:
        options: the command's options, with those of `data_options`.
    """
    source = options["calibration"]
    return None if source is None else _wanted(options, source, None, (), None)


def wanted_of(options: Mapping[str, Any]) -> Wanted | None:
    """What the options of `data_options` ask for; None without data.

    Args:
        options: the command's options, with `seed`.

    Raises:
        UsageError: an option needs another one, or there is no such metric.
    """
    if options["data"] is None:
        _refuse(options)
        return None
    return _wanted(
        options, options["data"], options["labels"], _metrics(options), options["scores"]
    )


def _wanted(
    options: Mapping[str, Any],
    source: str,
    labels: str | None,
    metrics: tuple[str, ...],
    scores: str | None,
) -> Wanted:
    samples, batch = options["samples"] or SAMPLES, options["batch"] or BATCH
    return Wanted(
        source=source,
        labels=labels,
        samples=None if samples == "all" else samples,
        batch=None if batch == "none" else batch,
        metrics=metrics,
        scores=scores,
        seed=options["seed"],
    )


def _refuse(options: Mapping[str, Any]) -> None:
    """Refuse options that nothing can be done with for want of data."""
    given = options.get("calibration") is not None
    for name in ("labels", "metric", "scores", *(() if given else ("samples", "batch"))):
        if options[name]:
            raise UsageError(
                f"--{name} is of use only with --data",
                hint="say where the data is: --data samples.npz, a folder, or module:function",
            )


def _metrics(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the metrics, each once; top-1 goes without saying where there are labels."""
    labels, implied = options["labels"], ("top1",)
    names = tuple(dict.fromkeys(options["metric"])) or (implied if labels is not None else ())
    if options["scores"] is not None and not names:
        raise UsageError("--scores is of use only with --metric", hint="say --metric agreement")
    for name in names:
        if metric_of(name).needs_labels and labels is None:
            raise UsageError(
                f"metric {name!r} needs labels",
                hint="name the array that holds them (--labels), or take 'agreement' or 'cosine'",
            )
    return names
