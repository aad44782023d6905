"""Both models over calibration data."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxprune as op
from onnxprune.data.batches import Batch
from onnxprune.errors import UsageError
from onnxprune.ir.model import Model
from onnxprune.verify.evaluation import MetricLike, evaluate, metric_of
from onnxprune.verify.fidelity import compare_outputs
from onnxprune.verify.metrics import Score
from onnxprune.verify.sessions import session_of
from tests.texts import model_of

TEXT = "g (float[N,4] x) => (float[N,6] y) { h = MatMul(x, a) r = Relu(h) y = MatMul(r, b) }"
METRICS = ["top1", "top5", "agreement", "cosine"]


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of(TEXT, {"a": (4, 32), "b": (32, 6)}, scale=1.0)


@pytest.fixture
def data(tmp_path: Path, model: Model) -> op.Dataset:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 4)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=rng.integers(0, 6, 50))
    return op.open_data(tmp_path / "d.npz", model, batch=7, labels="y")


def judged(first: Model, second: Model, data: Any, *names: str, **options: Any) -> dict[str, Score]:
    with session_of(first) as original, session_of(second) as pruned:
        return evaluate(original, pruned, data, names or METRICS, **options).scores


def test_a_model_against_itself(model: Model, data: op.Dataset) -> None:
    scores = judged(model, model, data)
    assert list(scores) == METRICS
    assert all(score.samples == 50 for score in scores.values())
    assert scores["agreement"].pruned == 1
    assert scores["cosine"].pruned == pytest.approx(1)
    for name in ("top1", "top5"):
        paired = scores[name].paired
        assert paired is not None
        assert (paired.total, paired.only_original, paired.only_pruned) == (50, 0, 0)
        assert scores[name].original == scores[name].pruned == paired.both / 50


def test_a_pruned_model_against_the_original(model: Model, data: op.Dataset) -> None:
    result = op.prune(model, 0.5, round_to=1)
    scores = judged(model, result.model, data)
    with session_of(model) as first, session_of(result.model) as second:
        whole = [np.concatenate([s.run(b.feeds)["y"] for b in data]) for s in (first, second)]
    agreed = float((whole[0].argmax(1) == whole[1].argmax(1)).mean())
    assert 0 < agreed < 1
    assert scores["agreement"].pruned == agreed
    truth = np.concatenate([batch.labels for batch in data if batch.labels is not None])
    assert scores["top1"].original == float((whole[0].argmax(1) == truth).mean())
    assert scores["top1"].pruned == float((whole[1].argmax(1) == truth).mean())


def test_pruned_inputs_and_outputs_are_narrowed(model: Model, data: op.Dataset) -> None:
    narrow = model_of(
        "g (float[N,3] x) => (float[N,5] y) { h = MatMul(x, a) r = Relu(h) y = MatMul(r, b) }",
        {"a": (3, 32), "b": (32, 5)},
    )
    ports = {"x": {1: np.array([0, 1, 3])}, "y": {1: np.array([0, 2, 3, 4, 5])}}
    scores = judged(model, narrow, data, "agreement", "cosine", ports=ports)
    assert 0 <= scores["agreement"].pruned < 1
    with pytest.raises(UsageError, match="labels do not number the entries") as caught:
        judged(model, narrow, data, "top1", ports=ports)
    assert caught.value.where == "output 'y'"


def test_labels_that_were_not_asked_for(model: Model, data: op.Dataset) -> None:
    with pytest.raises(UsageError, match="metric 'top1' needs labels"):
        judged(model, model, op.open_data(data.source, model), "top1")


def test_an_output_is_named(data: op.Dataset) -> None:
    two = model_of(
        "g (float[N,4] x) => (float[N,6] y, float[N,6] z) { y = MatMul(x, a) z = Neg(y) }",
        {"a": (4, 6)},
    )
    with pytest.raises(UsageError, match="not clear which output"):
        judged(two, two, data, "agreement")
    assert judged(two, two, data, "agreement", output="z")["agreement"].pruned == 1


def test_a_function_is_a_metric(model: Model, data: op.Dataset) -> None:
    with session_of(model) as session:
        found = evaluate(session, session, data, [lambda outputs, *_: outputs["y"].mean(axis=1)])
    (score,) = found.scores.values()
    assert score.original == pytest.approx(score.pruned)


def test_functions_may_share_a_name(model: Model, data: op.Dataset) -> None:
    def constant(value: float) -> MetricLike:
        return lambda *_: value

    metrics = [constant(1), "agreement", constant(2), constant(3), "agreement"]
    with session_of(model) as session:
        scores = evaluate(session, session, data, metrics).scores
    lambdas = [name for name in scores if "lambda" in name]
    assert [name.partition("::")[2] for name in lambdas] == ["", "2", "3"]
    assert [scores[name].pruned for name in lambdas] == [1, 2, 3]
    assert [scores[name].metric for name in lambdas] == lambdas
    assert scores["agreement"].pruned == scores["agreement::2"].pruned == 1


def test_fidelity_is_measured_on_the_way(model: Model, data: op.Dataset) -> None:
    result = op.prune(model, 0.5, round_to=1)
    with session_of(model) as original, session_of(result.model) as pruned:
        found = evaluate(original, pruned, data, ["cosine", "agreement"])
        whole = [np.concatenate([s.run(b.feeds)["y"] for b in data]) for s in (original, pruned)]
    assert found.samples == 50
    assert found.fidelity["y"].cosine == pytest.approx(
        compare_outputs(*([x] for x in whole)).cosine
    )
    assert found.fidelity["y"].cosine == found.scores["cosine"].pruned
    assert found.fidelity["y"].top1 == found.scores["agreement"].pruned


def test_memory_does_not_grow_with_the_samples() -> None:
    wide = model_of("g (float[N,4] x) => (float[N,9999] y) { y = MatMul(x, a) }", {"a": (4, 9999)})

    def peak(batches: int) -> int:
        feeds = {"x": np.ones((8, 4), np.float32)}
        tracemalloc.start()
        try:
            judged(wide, wide, (Batch(feeds, None, 8) for _ in range(batches)), "cosine")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(64) < 1.1 * peak(4)


def test_no_samples(model: Model) -> None:
    with pytest.raises(UsageError, match="no samples to judge"):
        judged(model, model, [])


def test_metrics_that_are_not_there() -> None:
    with pytest.raises(UsageError) as caught:
        metric_of("top-1")
    assert caught.value.message == "there is no metric 'top-1'"
    assert caught.value.hint == "did you mean 'top1'?"
    with pytest.raises(UsageError) as caught:
        metric_of("accuracy")
    assert caught.value.hint.startswith("choose from top1, top5, cosine, agreement")
