"""Targets as people write them."""

from __future__ import annotations

import pytest

from onnxprune.errors import UsageError
from onnxprune.passes import RemoveChannels
from onnxprune.passes.select.targets import Target


@pytest.mark.parametrize(
    ("text", "value", "relative"),
    [
        ("macs=0.5", 0.5, True),
        ("macs=.25", 0.25, True),
        ("params=60%", 0.6, True),
        ("macs=2.1G", 2.1e9, False),
        ("params=5M", 5e6, False),
        ("params=5e6", 5e6, False),
        ("size=5MB", 5e6, False),
        ("size=5 MiB", 5 * 2**20, False),
        ("memory=800kB", 8e5, False),
        ("size=4096", 4096, False),
    ],
)
def test_targets_are_read_with_their_units(text: str, value: float, relative: bool) -> None:
    target = Target.parse(text)
    assert (target.quantity, target.relative) == (text.partition("=")[0], relative)
    assert target.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed=2", "there is no target 'speed'"),
        ("macs", "'' is no target for macs"),
        ("macs=half", "'half' is no target for macs"),
        ("macs=5MB", "'5MB' is no target for macs"),
        ("size=5M", "'5M' is no target for size"),
        ("macs=-0.5", "'-0.5' is no target"),
        ("macs=0", "makes no sense"),
        ("params=100%", "makes no sense"),
    ],
)
def test_what_is_no_target(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Target.parse(text)
    with pytest.raises(UsageError, match=message):
        RemoveChannels(targets=(text,))
