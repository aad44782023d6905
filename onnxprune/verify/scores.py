"""Class scores: which output holds them, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.errors import UsageError, suggestion
from onnxprune.ir.elements import is_float_dtype

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]
_OWN = "write a metric of your own, and name it as module:function"


def paired_scores(original: Outputs, pruned: Outputs, output: str | None) -> tuple[Array, Array]:
    """The scores of two models, `*S classes` each.

    Args:
        original: outputs of the original, by name.
        pruned: likewise.
        output: name of the output; if None, the only one of floating-point numbers and two axes or
            more.

    Raises:
        UsageError: there is no such output, or the models differ in its shape.
    """
    name = _chosen(original, output)
    if name not in pruned or pruned[name].shape != original[name].shape:
        other = list(pruned[name].shape) if name in pruned else "nothing"
        raise UsageError(
            "the models do not have the same output",
            where=f"output {name!r}",
            why=f"the original gives {list(original[name].shape)}, the pruned model {other}",
        )
    return _plain(original[name]), _plain(pruned[name])


def right(scores: Array, labels: Array, k: int) -> npt.NDArray[np.bool_]:
    """Whether the label is among the `k` highest scores; of equal ones the first count as higher.

    Args:
        scores: ``*S classes``.
        labels: numbers of classes, ``*S``; axes of size 1 do not matter.
        k: 1 or more.

    Returns:
        One value for each row of scores; false where one is not a number.

    Raises:
        UsageError: the labels do not fit, or there are no more than `k` classes.
    """
    classes = scores.shape[-1]
    if classes <= k:
        raise UsageError(f"of {classes} scores, the top {k} are always right", hint=_OWN)
    wanted = _class_numbers(labels, scores.shape)[:, None]
    rows = scores.reshape(-1, classes)
    own = np.take_along_axis(rows, wanted, axis=1)
    earlier = np.less(np.arange(classes, dtype=np.intp), wanted)
    tied = np.logical_and(rows == own, earlier)
    ahead = np.count_nonzero(np.logical_or(rows > own, tied), axis=1)
    return np.asarray((ahead < k) & ~np.isnan(rows).any(axis=1))


def choices(scores: Array) -> npt.NDArray[np.intp]:
    """The class with the highest score in each row; -1 where one is not a number."""
    rows = scores.reshape(-1, scores.shape[-1])
    return np.where(np.isnan(rows).any(axis=1), -1, rows.argmax(axis=1))


def _class_numbers(labels: Array, shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    sizes, wanted = ([size for size in s if size != 1] for s in (labels.shape, shape[:-1]))
    if labels.dtype.kind not in "biu" or sizes != wanted:
        raise UsageError(
            "the labels do not fit the scores",
            why=f"labels are {labels.dtype.name} {list(labels.shape)}, scores {list(shape)}",
            hint=f"give the number of a class for each row of scores, or {_OWN}",
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < shape[-1]):
        raise UsageError(
            "a label is no class",
            why=f"labels lie between {labels.min()} and {labels.max()}, and there are "
            f"{shape[-1]} scores",
            hint="number the classes from 0, as the model does",
        )
    return labels.reshape(-1).astype(np.intp)


def _chosen(outputs: Outputs, name: str | None) -> str:
    fitting = [
        key for key, array in outputs.items() if is_float_dtype(array.dtype) and array.ndim >= 2
    ]
    if name is None and len(fitting) == 1:
        return fitting[0]
    if name is None:
        raise UsageError(
            "it is not clear which output holds the scores",
            why=f"of floating-point numbers and two axes or more are {fitting or 'none'}",
            hint="name the output: --scores, or output=",
        )
    if name not in outputs:
        raise UsageError(
            f"the model has no output {name!r}",
            hint=suggestion(name, outputs) or f"its outputs are {', '.join(map(repr, outputs))}",
        )
    if not is_float_dtype(outputs[name].dtype) or not outputs[name].ndim:
        raise UsageError(
            f"output {name!r} holds no scores",
            why=f"it is {outputs[name].dtype.name} {list(outputs[name].shape)}",
            hint=_OWN,
        )
    return name


def _plain(scores: Array) -> Array:
    return scores.astype(np.float32) if scores.dtype.kind == "V" else scores
