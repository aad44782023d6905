"""Data from a function: what it yields, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import cast

import numpy as np

from onnxprune.data.columns import Column, LoadedColumn, Rows
from onnxprune.data.fitting import Layout
from onnxprune.data.parts import Part, part_of
from onnxprune.data.user_code import UserFunction
from onnxprune.errors import UsageError


def first_parts(
    function: UserFunction, layout: Layout, limit: int | None
) -> Iterator[tuple[Part, Rows]]:
    """What a function yields, each item with the numbers of the samples to use.

    Args:
        function: takes nothing, yields mappings from names to arrays, or to what becomes arrays.
        layout: how samples make up feeds.
        limit: samples to use; then the function is left alone, as it may never end.

    Raises:
        UsageError: the function failed, or what it yields does not fit.
    """
    left = limit
    for number, item in enumerate(function.items()):
        part = _part(item, layout, f"{function.name}, item {number}")
        rows = np.arange(part.size)[:left]
        yield part, rows
        if left is not None:
            left -= len(rows)
            if left == 0:
                return


def _part(item: object, layout: Layout, where: str) -> Part:
    if not isinstance(item, Mapping):
        raise UsageError(
            "the function does not yield dicts of arrays",
            where=where,
            why=f"it is of type {type(item).__name__}",
            hint="yield {'input name': array}, with the labels under a name of their own",
        )
    arrays = {
        str(key): partial(_column, value, f"{where}, array {str(key)!r}")
        for key, value in cast(Mapping[object, object], item).items()
    }
    return part_of(arrays, layout, where)


def _column(value: object, where: str) -> Column:
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever an object of another library says
        raise UsageError("this is no array", where=where, why=str(error)) from error
    return LoadedColumn(where, array.dtype, array.shape, lambda: array)
