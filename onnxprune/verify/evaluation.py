"""Metrics of a pruned model and its original over calibration data, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from onnxprune.data.batches import Batch
from onnxprune.data.keys import suggestion
from onnxprune.data.narrow import Kept, narrowed
from onnxprune.data.user_code import is_function_name, user_function
from onnxprune.errors import UsageError
from onnxprune.runtime import Session
from onnxprune.verify.metrics import Agreement, Cosine, Metric, Score, TopK
from onnxprune.verify.user_metric import UserMetric


def evaluate(
    original: Session,
    pruned: Session,
    data: Iterable[Batch],
    metrics: Sequence[str | Callable[..., object]],
    *,
    output: str | None = None,
    ports: Kept | None = None,
) -> dict[str, Score]:
    """Judge two models on the same data, which is gone through once.

    Args:
        original: the model before.
        pruned: the model after.
        data: inputs of the original, with labels where a metric needs them; a `Dataset`.
        metrics: names of built-in metrics, functions, or their names; see `metric_of`.
        output: name of the output that holds the scores; None for the only one that can.
        ports: what the pruned model keeps of inputs and outputs; only that is compared.

    Returns:
        Scores by the name of the metric.

    Raises:
        UsageError: a metric is unknown, or outputs or labels are not what it needs, or the data
            does not fit, or there is none.
        RuntimeFailureError: ONNX Runtime cannot run a model.
    """
    kept = ports or {}
    chosen = [metric_of(metric, output) for metric in metrics]
    wanted, given = _tensors(original), _tensors(pruned)
    narrow = sorted(kept.keys() & set(wanted))
    if narrow and any(metric.needs_labels for metric in chosen):
        raise UsageError(
            "labels do not number the entries of an output that was pruned",
            where=f"output {narrow[0]!r}",
            hint="take 'agreement' or 'cosine', which look at what is left",
        )
    samples = 0
    for batch in data:
        before = narrowed(original.run(batch.feeds, wanted), kept)
        after = pruned.run(narrowed(batch.feeds, kept), given)
        samples += batch.size
        for metric in chosen:
            metric.add(before, after, batch.labels, batch.size)
    if not samples:
        raise UsageError("there are no samples to judge the models on")
    return {metric.name: metric.score(samples) for metric in chosen}


_BUILT_IN: Mapping[str, Callable[[str, str | None], Metric]] = {
    "top1": TopK,
    "top5": lambda name, output: TopK(name, output, k=5),
    "cosine": Cosine,
    "agreement": Agreement,
}


def metric_of(metric: str | Callable[..., object], output: str | None = None) -> Metric:
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


def _tensors(session: Session) -> list[str]:
    """The outputs that are tensors, and not sequences or maps."""
    return [port.name for port in session.outputs if port.dtype.startswith("tensor(")]
