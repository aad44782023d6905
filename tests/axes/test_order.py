"""Permutations of leaves, as permutations of axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprune.axes import Dim, DimSpace, axis_order


def _axis(space: DimSpace, a: Dim, b: Dim, shape: str) -> Dim:
    part = {"a": a, "b": b}
    terms = [space.product([part[x] for x in term]) for term in shape.split("+")]
    return terms[0] if len(terms) == 1 else space.concat(terms)


def _expected(shape: str, sizes: dict[str, int], orders: dict[str, list[int]]) -> list[int]:
    """By names: what stands at a place now stood where its own indices say."""
    result: list[int] = []
    start = 0
    for term in shape.split("+"):
        grid = np.arange(np.prod([sizes[x] for x in term])).reshape([sizes[x] for x in term])
        for axis, x in enumerate(term):
            grid = grid.take(orders.get(x, range(sizes[x])), axis=axis)
        result += [int(start + i) for i in grid.reshape(-1)]
        start += grid.size
    return result


@pytest.mark.parametrize("shape", ["a", "ab", "ba", "a+b", "b+a+b", "ab+a", "ab+ba"])
@given(data=st.data())
def test_an_axis_moves_as_its_leaves_do(shape: str, data: st.DataObject) -> None:
    space = DimSpace()
    sizes = {"a": 3, "b": 4}
    a, b = space.dim(3), space.dim(4)
    orders = {x: data.draw(st.permutations(range(size))) for x, size in sizes.items()}
    given = {leaf: np.array(orders[x]) for x, leaf in (("a", a), ("b", b))}
    found = axis_order(_axis(space, a, b, shape), given)
    assert found is not None
    assert found.tolist() == _expected(shape, sizes, orders)


def test_nothing_moves_without_a_leaf_that_does() -> None:
    space = DimSpace()
    a, b = space.dim(3), space.dim(4)
    assert axis_order(space.product((a, b)), {space.dim(4): np.arange(4)}) is None
