"""Progress: what listeners hear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import onnxprune as op
from onnxprune.data.random import Feeds
from onnxprune.progress import counted, expect, listening, tallied, track
from tests.texts import f32, model_of


def test_listeners_hear_how_far_it_is() -> None:
    heard: list[tuple[str, int, int | None]] = []
    with listening(lambda *said: heard.append(said)):
        assert list(track("ab", "letters")) == ["a", "b"]
        assert list(track(iter("a"), "some", 5)) == ["a"]
        assert list(track((x for x in "a"), "unknown")) == ["a"]
    assert list(track("cd", "nobody listens")) == ["c", "d"]
    assert heard == [
        ("letters", 0, 2), ("letters", 1, 2), ("letters", 2, 2),
        ("some", 0, 5), ("some", 1, 5), ("unknown", 0, None), ("unknown", 1, None),
    ]  # fmt: skip


def test_steps_in_many_places_are_told_as_one_piece_of_work() -> None:
    heard: list[tuple[str, int, int | None]] = []
    with listening(lambda *said: heard.append(said)):
        with tallied("whole", 3):
            assert list(counted("ab")) == ["a", "b"]
            expect(2)
            assert list(counted("cd")) == ["c", "d"]
        expect(5)
        assert list(counted("no work around it")) == list("no work around it")
    assert list(dict.fromkeys(heard)) == [
        ("whole", 0, 3), ("whole", 1, 3), ("whole", 2, 3),
        ("whole", 3, 5), ("whole", 4, 5), ("whole", 5, 5),
    ]  # fmt: skip


def test_a_proof_says_how_far_it_is_as_a_whole() -> None:
    """What is left of it can be told after the first run of a model."""
    model = model_of(
        "g (float[n,6] x) => (float[n,4] y) { a = MatMul(x, w1)  y = MatMul(a, w2) }",
        {"w1": (6, 8), "w2": (8, 4)},
    )
    result = op.prune(model, 0.5, round_to=1)
    heard: list[tuple[str, int, int | None]] = []
    with listening(lambda *said: heard.append(said)):
        assert result.verify().passed
    told = [(done, total) for what, done, total in heard if what.startswith("proving")]
    total = 2 * 2 * 4  # sizes of inputs, comparisons, runs of models
    assert list(dict.fromkeys(told)) == [(done, total) for done in range(total + 1)]


def test_long_work_on_data_can_be_followed() -> None:
    model = model_of(
        "g (float[n,6] x) => (float[n,4] y) { a = MatMul(x, w1)  y = MatMul(a, w2) }",
        {"w1": (6, 8), "w2": (8, 4)},
    )
    heard: dict[str, set[int | None]] = {}
    data = op.open_data(_sets, model, batch=4, limit=16)
    with listening(lambda what, done, total: heard.setdefault(what, set()).add(total)):
        op.prune(model, 0.5, round_to=1, criterion="obs", data=data).evaluate(data)
    assert list(heard) == [
        "following shapes", "relating axes", "gathering statistics", "reading data",
        "repairing in rounds", "repairing, 1 of 1", "comparing outputs", "comparing on data",
    ]  # fmt: skip


def _sets() -> Iterator[Feeds]:
    rng = np.random.default_rng(0)
    yield from ({"x": f32(rng.standard_normal((4, 6)))} for _ in range(4))
