"""Parts of the data: arrays that belong together, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from onnxprune.data.batches import Batch
from onnxprune.data.columns import Column, Rows
from onnxprune.data.fitting import Layout, converted
from onnxprune.data.keys import match_keys
from onnxprune.errors import UsageError

Arrays = Mapping[str, Callable[[], Column]]
"""Arrays by name; what is not needed is not called."""


@dataclass(frozen=True, slots=True)
class Part:
    """Samples that lie together: those of a file, or of one feed.

    Attributes:
        layout: how samples make up feeds.
        inputs: a column for each of its inputs.
        labels: of the samples; None if there are none.
        size: number of samples.
    """

    layout: Layout
    inputs: tuple[Column, ...]
    labels: Column | None
    size: int

    def read(self, rows: Rows) -> Iterator[Batch]:
        """Read some samples, at most a batch at a time.

        Args:
            rows: their numbers, ascending.

        Raises:
            UsageError: the data cannot be read, or a value does not fit.
        """
        step = self.layout.size
        groups = [rows[at : at + step] for at in range(0, len(rows), step)]
        labels = self.labels.chunks(groups) if self.labels is not None else (None for _ in groups)
        inputs = [column.chunks(groups) for column in self.inputs]
        for group, label, *arrays in zip(groups, labels, *inputs, strict=True):
            feeds = {
                declared.name: converted(array, declared.dtype, column.where)
                for declared, column, array in zip(
                    self.layout.inputs, self.inputs, arrays, strict=True
                )
            }
            yield Batch(feeds, label, len(group))


def part_of(arrays: Arrays, layout: Layout, where: str) -> Part:
    """Arrays as samples of a model's inputs, after all that can be checked before reading.

    Args:
        arrays: by name.
        layout: how samples make up feeds.
        where: the file or function, for messages.

    Raises:
        UsageError: an array is missing or does not fit, or their numbers of samples differ.
    """
    keys = match_keys(list(arrays), [i.name for i in layout.inputs], layout.labels, where)
    columns: list[Column] = []
    for declared in layout.inputs:
        column = arrays[keys[declared.name]]()
        stacked = layout.check(declared, column.dtype, column.shape, column.where)
        columns.append(column if stacked else _single(column))
    sizes = {name: column.shape[0] for name, column in zip(keys, columns, strict=True)}
    if len(set(sizes.values())) > 1:
        raise UsageError(
            "the arrays do not have the same number of samples",
            where=where,
            why=", ".join(f"{size} for {name!r}" for name, size in sizes.items()),
        )
    size = columns[0].shape[0]
    labels = _labels(arrays[layout.labels](), size) if layout.labels is not None else None
    return Part(layout, tuple(columns), labels, size)


def _single(column: Column) -> Column:
    return replace(column, shape=(1, *column.shape))


def _labels(column: Column, size: int) -> Column:
    """Labels with samples along the leading axis, which that of a single sample may lack."""
    if column.shape[:1] == (size,):
        return column
    if size == 1:
        return _single(column)
    raise UsageError(
        "there is not one label for each sample",
        where=column.where,
        why=f"its shape is {list(column.shape)}, and there are {size} samples",
    )
