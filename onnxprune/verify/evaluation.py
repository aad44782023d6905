"""A pruned model and its original over calibration data, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from onnxprune.data.batches import Batch
from onnxprune.data.narrow import Kept
from onnxprune.data.user_code import is_function_name, user_function
from onnxprune.errors import UsageError, suggestion
from onnxprune.progress import track
from onnxprune.runtime import Session
from onnxprune.verify.fidelity import Fidelities, Fidelity, run_both
from onnxprune.verify.metrics import Agreement, Cosine, Metric, Score, TopK
from onnxprune.verify.user_metric import UserMetric

MetricLike = str | Callable[..., object]
"""A metric, by its name or as the function that it is; see `metric_of`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a pruned model compares with its original on data.

    Attributes:
        fidelity: by output.
        scores: by metric; the second of two of one name is called ``NAME::2``.
        samples: number of samples.
    """

    fidelity: dict[str, Fidelity]
    scores: dict[str, Score]
    samples: int


def evaluate(
    original: Session,
    pruned: Session,
    data: Iterable[Batch],
    metrics: Sequence[MetricLike] = (),
    *,
    output: str | None = None,
    ports: Kept | None = None,
) -> Evaluation:
    """Judge two models on the same data, which is gone through once.

    Args:
        original: the model before.
        pruned: the model after.
        data: inputs of the original, with labels where a metric needs them; a `Dataset`.
        metrics: names of built-in metrics, functions, or their names; see `metric_of`.
        output: name of the output that holds the scores; None for the only one that can.
        ports: what the pruned model keeps of inputs and outputs; only that is compared.

    Raises:
        UsageError: a metric is unknown, or outputs or labels are not what it needs, or the data
            does not fit, or there is none.
        RuntimeFailureError: ONNX Runtime cannot run a model.
    """
    kept = ports or {}
    chosen = _named(metric_of(metric, output) for metric in metrics)
    narrow = sorted(kept.keys() & {port.name for port in original.outputs})
    if narrow and any(metric.needs_labels for metric in chosen.values()):
        raise UsageError(
            "labels do not number the entries of an output that was pruned",
            where=f"output {narrow[0]!r}",
            hint="take 'agreement' or 'cosine', which look at what is left",
        )
    fidelities, samples = Fidelities(errors=True), 0
    for batch in track(data, "comparing on data"):
        before, after = run_both(original, pruned, batch.feeds, kept)
        fidelities.add(before, after)
        for metric in chosen.values():
            metric.add(before, after, batch.labels, batch.size)
        samples += batch.size
    if not samples:
        raise UsageError("there are no samples to judge the models on")
    scores = {name: metric.score(samples) for name, metric in chosen.items()}
    return Evaluation(fidelities.found(), scores, samples)


def _named(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Metrics by name; functions may share one, as all lambdas do."""
    named: dict[str, Metric] = {}
    for metric in metrics:
        names = (metric.name, *(f"{metric.name}::{place}" for place in range(2, len(named) + 2)))
        metric.name = next(name for name in names if name not in named)
        named[metric.name] = metric
    return named


_BUILT_IN: Mapping[str, Callable[[str, str | None], Metric]] = {
    "top1": TopK,
    "top5": lambda name, output: TopK(name, output, k=5),
    "cosine": Cosine,
    "agreement": Agreement,
}
METRICS = tuple(_BUILT_IN)
"""Names of the built-in metrics."""


def metric_of(metric: MetricLike, output: str | None = None) -> Metric:
    """A metric by its name.

    Args:
        metric: ``top1``, ``top5``, ``cosine``, ``agreement``, ``module:function``, or a function.
        output: name of the output that holds the scores; None for the only one that can. A function
            gets all outputs.

    Raises:
        UsageError: there is no such metric.
    """
    if isinstance(metric, str) and metric in _BUILT_IN:
        return _BUILT_IN[metric](metric, output)
    if isinstance(metric, str) and not is_function_name(metric):
        raise UsageError(
            f"there is no metric {metric!r}",
            hint=suggestion(metric, _BUILT_IN)
            or f"choose from {', '.join(_BUILT_IN)}, or name a function as module:function",
        )
    function = user_function(metric)
    return UserMetric(function.name, function=function)
