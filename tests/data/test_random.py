"""Random inputs: choices of single numbers are tried in turn."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from onnxprune.data.random import COMBINATIONS, InputSpec, random_feeds, random_sets, resized

X = InputSpec("x", np.dtype(np.float32), (2, 3))
FLAG = InputSpec("c", np.dtype(np.bool_), (), choices=(1, 0))
RATE = InputSpec("r", np.dtype(np.int64), (1,), choices=(16000, 16001))


def test_without_choices_there_is_one_way() -> None:
    sets = random_sets([X], 2, seed=5)
    assert len(sets) == 2
    assert np.array_equal(sets[1]["x"], random_feeds([X], 6)["x"])
    assert not np.array_equal(sets[0]["x"], sets[1]["x"])


def test_every_combination_of_choices_has_its_sets() -> None:
    sets = random_sets([X, FLAG, RATE], 2)
    chosen = [(bool(feeds["c"]), int(feeds["r"][0])) for feeds in sets]
    assert chosen[::2] == chosen[1::2]
    assert set(chosen) == {(True, 16000), (True, 16001), (False, 16000), (False, 16001)}
    assert sets[0]["c"].shape == ()
    assert sets[0]["c"].dtype == np.bool_
    assert len({feeds["x"].tobytes() for feeds in sets}) == 8


def test_of_many_choices_any_two_meet() -> None:
    flags = [InputSpec(f"c{i}", np.dtype(np.bool_), (), choices=(1, 0)) for i in range(6)]
    wide = InputSpec("k", np.dtype(np.int32), (), choices=(7, 8, 9))
    sets = random_sets([*flags, wide], 1)
    assert len(sets) == COMBINATIONS
    assert {int(feeds["k"]) for feeds in sets} == {7, 8, 9}
    for one, two in combinations([spec.name for spec in flags], 2):
        assert len({(bool(feeds[one]), bool(feeds[two])) for feeds in sets}) == 4


def test_other_shapes_keep_limits_and_choices() -> None:
    (spec,) = resized([RATE], {"r": ()})
    assert (spec.shape, spec.choices) == ((), (16000, 16001))
