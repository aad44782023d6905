"""Where two factorings of the same size agree."""

from __future__ import annotations

import pytest

from onnxprune.axes.strides import common_cuts, strides


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), [1]), ((7,), [7, 1]), ((3, 4), [12, 4, 1]), ((2, 3, 5), [30, 15, 5, 1])],
)
def test_strides_go_from_the_size_down_to_one(sizes: tuple[int, ...], expected: list[int]) -> None:
    assert strides(sizes) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param((12,), (3, 4), [12, 4, 1], id="one side refines the other"),
        pytest.param((6, 4), (3, 8), [24, 8, 4, 1], id="the strides interleave"),
        pytest.param((3, 4), (4, 3), [12, 1], id="a clash of the whole"),
        pytest.param((6, 4), (4, 6), [24, 12, 2, 1], id="a clash between common parts"),
        pytest.param(
            (3, 2, 5, 3, 2), (2, 3, 5, 2, 3), [180, 30, 6, 1], id="two clashes around a 5"
        ),
        pytest.param((2, 6), (2, 6), [12, 6, 1], id="equal"),
    ],
)
def test_cuts_are_strides_that_divide_or_are_divided_on_both_sides(
    left: tuple[int, ...], right: tuple[int, ...], expected: list[int]
) -> None:
    assert common_cuts(strides(left), strides(right)) == expected
    assert common_cuts(strides(right), strides(left)) == expected


def test_cuts_of_more_than_two_chains() -> None:
    assert common_cuts([30, 6, 1], [30, 3, 1], [30, 15, 1]) == [30, 3, 1]
