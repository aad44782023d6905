"""Built-in metrics, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.errors import UsageError
from onnxprune.verify.evaluation import metric_of
from onnxprune.verify.fidelity import compare_outputs
from onnxprune.verify.metrics import Score
from onnxprune.verify.paired import Paired
from tests.data.sources import Array
from tests.texts import f32

FIRST = f32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
SECOND = f32([[2, 0, 0], [0, 0, 3], [0, 0, 1], [0, 1, 0]])
LABELS = np.array([0, 1, 0, 1])


def judged(name: str, first: Array, second: Array, parts: int = 1) -> Score:
    metric = metric_of(name)
    for rows in np.array_split(np.arange(len(first)), parts):
        metric.add({"y": first[rows]}, {"y": second[rows]}, LABELS[rows], len(rows))
    return metric.score(len(first))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_values_do_not_depend_on_the_batches(parts: int) -> None:
    top1 = judged("top1", FIRST, SECOND, parts)
    assert top1 == Score("top1", 0.5, 0.5, 4, Paired(1, 1, 1, 1))
    assert judged("agreement", FIRST, SECOND, parts) == Score("agreement", 0.5, None, 4)
    cosine = judged("cosine", FIRST, SECOND, parts)
    assert cosine.pruned == pytest.approx(3 / np.sqrt(4 * 15))
    assert cosine.pruned == pytest.approx(compare_outputs([FIRST], [SECOND]).cosine)
    assert cosine.original is None


def test_top_5() -> None:
    scores = f32(np.tile(np.arange(10), (4, 1)))
    score = judged("top5", scores, -scores)
    assert (score.original, score.pruned, score.paired) == (0, 1, Paired(0, 0, 4, 0))


def test_a_model_that_collapsed_is_not_good() -> None:
    nothing = np.full_like(FIRST, np.nan)
    assert judged("top1", FIRST, nothing).pruned == 0
    assert judged("agreement", FIRST, nothing).pruned == 0
    assert judged("cosine", FIRST, nothing).pruned == 0


def test_what_the_original_overflows_in_is_left_out() -> None:
    assert judged("cosine", f32([[3, np.inf]]), f32([[3, 7]])).pruned == pytest.approx(1)


def test_labels_are_needed() -> None:
    with pytest.raises(UsageError, match="metric 'top1' needs labels"):
        metric_of("top1").add({"y": FIRST}, {"y": SECOND}, None, 4)
