"""Sessions on every provider: they load, they say who runs what, and compute what the CPU does."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import onnxprune as op
from onnxprune.data.random import Feeds
from onnxprune.errors import ProviderUnavailableError
from onnxprune.pipelines.result import Result
from onnxprune.runtime import Session, parse_provider
from onnxprune.verify.sessions import session_of
from tests.conftest import FIXTURES

pytestmark = pytest.mark.providers

MODELS = sorted(path.name for path in FIXTURES.glob("*.onnx"))
X = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 16)


@cache
def pruned(name: str) -> Result:
    return op.prune(FIXTURES / name, 0.3)


def assert_same_as_the_cpu(model: op.Model, feed: Feeds, provider: str) -> None:
    """TF32 keeps ten bits, and engines may take it without being asked."""
    tolerance = 2e-2 if parse_provider(provider).on_cuda else 1e-3
    with session_of(model) as cpu, session_of(model, provider=provider, optimization="all") as own:
        expected, found = cpu.run(feed), own.run(feed)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        apart = np.abs(found[name] - value).max() / np.abs(value).max()
        assert apart <= tolerance, name


@pytest.mark.parametrize("name", MODELS)
def test_fixtures_run_as_on_the_cpu(name: str, provider: str) -> None:
    result = pruned(name)
    for batch in (1, 5):
        (feed,) = result.feeds(1, batch)
        assert_same_as_the_cpu(result.original, feed, provider)
        assert_same_as_the_cpu(result.model, feed, provider)


@pytest.mark.parametrize("name", MODELS)
def test_pruned_fixtures_are_run_by_the_provider(name: str, provider: str) -> None:
    full_name = parse_provider(provider).name
    result = pruned(name)
    with session_of(result.model, provider=provider, optimization="all") as session:
        assert session.providers[0] == full_name
        if not session.nodes_by_provider:
            pytest.skip("this ONNX Runtime does not tell which provider runs a node")
        assert session.operators_by_provider[full_name]["Conv"] > 0
        assert sum(session.nodes_by_provider.values()) > 0.5 * result.model.node_count


def test_runs_are_timed_and_profiled(provider: str) -> None:
    result = pruned("digits_cnn.ts.onnx")
    (feed,) = result.feeds(1, 4)
    with session_of(result.model, provider=provider, optimization="all") as session:
        assert session.timed(feed).time_ns(2) > 0
        assert session.twin().timed(feed).time_ns() > 0
        profile = session.profile(feed, runs=3)
    assert profile.runs == 3
    assert parse_provider(provider).name in profile.by_provider


def test_what_falls_back_is_told_and_computed(mixed: Path, provider: str) -> None:
    session = Session(mixed, provider=provider)
    outputs = session.run({"x": X})
    np.testing.assert_array_equal(outputs["values"], np.unique(outputs["y"]))
    if session.nodes_by_provider:
        assert session.operators_by_provider["CPUExecutionProvider"]["Unique"] == 1


def test_a_strict_session_refuses_what_falls_back(mixed: Path, accelerator: str) -> None:
    with pytest.raises(ProviderUnavailableError) as caught:
        Session(mixed, provider=accelerator, strict=True)
    assert caught.value.exit_code == 4
    assert "Unique (1)" in caught.value.why or "does not say" in caught.value.why


def test_a_strict_session_takes_what_it_runs_whole(provider: str) -> None:
    name = parse_provider(provider).name
    with session_of(pruned("digits_cnn.ts.onnx").model, provider=provider, optimization="all") as s:
        whole = set(s.nodes_by_provider) == {name}
    if not whole:
        pytest.skip(f"{name} leaves a part of this model to others")
    (feed,) = pruned("digits_cnn.ts.onnx").feeds(1)
    with session_of(pruned("digits_cnn.ts.onnx").model, provider=provider, strict=True) as session:
        assert session.run(feed)["logits"].shape == (2, 10)
