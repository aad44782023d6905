"""Results and comparisons on the user's data, from the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnxprune as op
from onnxprune.data.random import Feeds
from onnxprune.ir.model import Model
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.inputs import Inputs
from onnxprune.verify.equivalence import Equivalence
from tests.texts import model_of

TEXT = "g (float[N,4] x) => (float[N,6] y) { h = MatMul(x, a) r = Relu(h) y = MatMul(r, b) }"


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of(TEXT, {"a": (4, 32), "b": (32, 6)}, scale=1.0)


@pytest.fixture
def data(tmp_path: Path, model: Model) -> op.Dataset:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((50, 4)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=rng.integers(0, 6, 50))
    return op.open_data(tmp_path / "d.npz", model, batch=7, labels="y")


def test_a_result_is_judged_on_data(model: Model, data: op.Dataset) -> None:
    result = op.prune(model, 0.5, round_to=1)
    found = result.evaluate(data, ["top1", lambda *_: 3.0])
    assert (found.samples, found.scores["top1"].samples) == (50, 50)
    assert [score.pruned for score in found.scores.values()][1] == 3
    assert result.fidelity(data) == found.fidelity
    assert result.fidelity([batch.feeds for batch in data]) == found.fidelity
    assert result.fidelity() != found.fidelity


def test_a_comparison_says_the_same_as_the_result(model: Model, data: op.Dataset) -> None:
    result = op.prune(model, 0.5, round_to=1)
    comparison = Comparison(model, result.model, {}, plan=result.plan)
    assert comparison.evaluate(data, ["top1"]) == result.evaluate(data, ["top1"])
    assert comparison.fidelity(data) == result.fidelity(data)
    assert comparison.equivalence(data).passed


def test_the_proof_runs_on_the_data_too(model: Model, data: op.Dataset) -> None:
    """Random inputs hardly reach what a threshold keeps away; the data does."""
    guarded = model_of(
        """g (float[N,4] x) => (float[N,6] y) {
            far = Sub(x, limit) on = Relu(far) h = MatMul(on, a) r = Relu(h) y = MatMul(r, b)
        }""",
        {"a": (4, 32), "b": (32, 6), "limit": np.array([1e6], np.float32)},
    )
    result = op.prune(guarded, 0.5)
    assert result.verify(check=False).verdict == "cannot tell"
    loud = op.open_data(lambda: ({"x": b.feeds["x"] * 1e8} for b in data), guarded)
    assert result.verify(data=loud).passed


def test_what_fails_on_the_data_fails(model: Model, data: op.Dataset) -> None:
    tried: list[bool] = []

    def compare(feeds: list[Feeds]) -> Equivalence:
        tried.append(any(np.array_equal(f["x"], data.pair()[0]["x"]) for f in feeds))
        return Equivalence("failed" if tried[-1] else "passed")

    inputs = Inputs(model, {})
    assert inputs.prove(compare).verdict == "passed"
    assert not any(tried)
    assert inputs.prove(compare, data).verdict == "failed"
    assert tried[-1]


def test_data_of_other_shapes_than_given_proves_nothing(model: Model, data: op.Dataset) -> None:
    seen: list[int] = []

    def compare(feeds: list[Feeds]) -> Equivalence:
        seen.extend(len(feed["x"]) for feed in feeds)
        return Equivalence()

    Inputs(model, {"x": (3, 4)}).prove(compare, data)
    assert set(seen) == {3}


def test_the_proof_runs_at_the_shape_of_the_data() -> None:
    """Random inputs have other sizes; the removal is seen again at those of the data."""
    network = model_of(
        """g (float[N,3,H,W] x) => (float[N,10] y) {
            a = Conv <pads = [1,1,1,1]> (x, k) b = Relu(a) c = GlobalAveragePool(b)
            d = Flatten(c) y = MatMul(d, w)
        }""",
        {"k": (32, 3, 3, 3), "w": (32, 10)},
    )
    rng = np.random.default_rng(7)
    images = [{"x": rng.standard_normal((4, 3, 37, 41)).astype(np.float32)}]
    data = op.open_data(lambda: images, network)
    result = op.prune(network, 0.5)
    shapes: list[tuple[int, ...]] = []

    def compare(feeds: list[Feeds]) -> Equivalence:
        shapes.extend(feed["x"].shape for feed in feeds)
        return Equivalence()

    Inputs(network, {}).prove(compare, data)
    assert shapes[-2:] == [(2, 3, 37, 41)] * 2
    assert result.verify(data=data).passed
