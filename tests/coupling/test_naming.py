"""What groups are called after."""

from __future__ import annotations

import pytest

from onnxprune.coupling.naming import is_number
from onnxprune.passes.select.patterns import ratios_of
from tests.coupling.models import Coupled, couple


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("onnx::Conv_749", True),
        ("Conv_12", True),
        ("193", True),
        ("", True),
        ("conv1.weight", False),
        ("/conv1/Conv", False),
        ("Conv2D", False),
        ("onnx::Gemm_3", False),  # no such operator in the model
        ("w1", False),
    ],
)
def test_a_running_number_has_no_word_of_its_own(name: str, number: bool) -> None:
    assert is_number(name, {"Conv", "MatMul"}) is number


def chain(*names: str) -> Coupled:
    """Convolutions, the first of which is called after what it makes; with these weights."""
    first, second = names
    return couple(
        f"stem = Conv(x, {first})\ny = Conv(stem, {second})",
        {first: (6, 3, 1, 1), second: (4, 6, 1, 1)},
    )


def test_a_weight_with_a_name_is_what_a_group_is_called_after() -> None:
    assert [group.name for group in chain("w1", "w2").groups] == ["channel of w1"]


def test_a_node_stands_for_a_weight_that_is_a_number() -> None:
    (group,) = chain("Conv_7", "Conv_8").groups
    assert group.name == "channel of stem"
    for pattern in ("channel of stem", "channel of Conv_7", "Conv_8", "channel"):
        assert ratios_of([group], [f"{pattern}=0.5"]) == {group: 0.5}


def test_a_number_is_better_than_nothing() -> None:
    model = couple(
        "Conv_1 = Conv(x, Conv_7)\ny = Conv(Conv_1, Conv_8)",
        {"Conv_7": (6, 3, 1, 1), "Conv_8": (4, 6, 1, 1)},
    )
    assert [group.name for group in model.groups] == ["channel of Conv_7"]
