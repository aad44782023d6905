"""Calibration data: opened once, gone through as often as needed, a batch in memory at a time.

The arrays of the data are matched to the model's inputs by name; a model with one input takes the
only array that is not the labels. An array with one axis less than the input is one sample, one
with as many is a batch of samples. Where a model's inputs have no leading axis in common, samples
are whole feeds: an array with as many axes as the input is one of them, one with an axis more is a
stack of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from onnxprune.data.batches import Batch, regroup
from onnxprune.data.columns import Rows
from onnxprune.data.declared import DeclaredInput, declared_inputs
from onnxprune.data.files import parts_at
from onnxprune.data.fitting import Layout
from onnxprune.data.functions import first_parts
from onnxprune.data.parts import Part
from onnxprune.data.random import Feeds
from onnxprune.data.user_code import is_function_name, user_function
from onnxprune.errors import UsageError
from onnxprune.ir.model import Model

Source = str | Path | Callable[[], object]
Chosen = Iterable[tuple[Part, Rows]]
"""Parts, each with the numbers of the samples to read."""


class Dataset:
    """Samples in batches; see `open_data`.

    Attributes:
        source: the path, or the name of the function.
        size: samples of a batch.
        samples: how many there are, of those chosen; None where only the end will tell.
        dropped: how many did not fill the last batches of a model that takes only full ones, when
            the data was last gone through.
    """

    def __init__(
        self, source: str, layout: Layout, chosen: Callable[[], Chosen], samples: int | None
    ) -> None:
        """Make it of parts; `open_data` is the way to get one."""
        self.source = source
        self.size = layout.size
        self.samples = samples
        self.dropped = 0
        self._layout = layout
        self._chosen = chosen

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches, from the start and in the same order each time.

        Raises:
            UsageError: the data cannot be read, does not fit, or fills no batch.
        """
        given = dropped = 0
        pieces = (piece for part, rows in self._chosen() for piece in part.read(rows))
        for batch in regroup(pieces, self.size):
            if self._layout.fixed and batch.size < self.size:
                dropped += batch.size
                continue
            given += batch.size
            yield batch.alone() if self._layout.whole else batch
        self.dropped = dropped
        if dropped and not given:
            raise UsageError(
                "the data does not fill a batch",
                where=self.source,
                why=f"the model takes {self.size} samples at once, and there are {dropped}",
                hint="give more samples, or export the model with a dynamic batch",
            )
        if not given:
            raise UsageError("the data holds no samples", where=self.source)

    def __length_hint__(self) -> int:
        """How many batches there will be, as far as that is known."""
        if self.samples is None:
            return NotImplemented  # type: ignore[no-any-return]
        return -(-self.samples // self.size)

    def pair(self) -> list[Feeds]:
        """The first samples as two sets of inputs of one shape, few in each; none if there are not.

        Raises:
            UsageError: the data cannot be read, does not fit, or fills no batch.
        """
        batches = iter(self)
        if not (self._layout.whole or self._layout.fixed):
            batches = regroup(islice(batches, 2), min(self.size, 2))
        sets = [batch.feeds for batch in islice(batches, 2)]
        shapes = [[array.shape for array in feeds.values()] for feeds in sets]
        return sets if len(sets) == 2 and shapes[0] == shapes[1] else []


def open_data(
    source: Source,
    inputs: Model | Sequence[DeclaredInput],
    *,
    batch: int | None = 32,
    limit: int | None = 512,
    seed: int = 0,
    labels: str | None = None,
) -> Dataset:
    """Open calibration data for a model.

    Args:
        source: an ``.npz`` or ``.npy`` file; a folder of these, or of ``test_data_set_*`` folders;
            ``module:function``, or a function, that takes nothing and yields dicts of arrays. It
            is called again each time the data is gone through.
        inputs: the model, or what it declares.
        batch: samples of a batch, unless the model takes one number only; None for whole feeds.
        limit: samples to use; None for all. They are drawn from all that the files hold, and kept
            in order. Of a function, which may never end, they are the first.
        seed: of the drawing.
        labels: name of the array that holds the labels.

    Raises:
        UsageError: the data is not there, cannot be read or does not fit, or a number is not above
            0. What only reading tells, iterating tells.
    """
    if min(batch or 1, limit or 1) < 1 or 0 in (batch, limit):
        raise UsageError(f"batch and limit are above 0, not {batch} and {limit}")
    declared = declared_inputs(inputs) if isinstance(inputs, Model) else tuple(inputs)
    if not declared:
        raise UsageError("the model has no inputs that data could feed")
    layout = Layout.of(declared, labels, batch)
    if isinstance(source, Path) or (isinstance(source, str) and not _is_function(source)):
        chosen = _drawn(parts_at(Path(source), layout), limit, seed)
        samples = sum(len(rows) for _, rows in chosen)
        return Dataset(str(source), layout, lambda: chosen, samples)
    function = user_function(source)
    return Dataset(function.name, layout, partial(first_parts, function, layout, limit), None)


def _is_function(source: str) -> bool:
    return is_function_name(source) and not os.path.exists(source)


def _drawn(parts: Sequence[Part], limit: int | None, seed: int) -> list[tuple[Part, Rows]]:
    """A subset of the samples of all parts, every one as likely as another."""
    sizes = [part.size for part in parts]
    total = sum(sizes)
    rows = np.arange(total)
    if limit is not None and limit < total:
        rows = np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))
    ends = np.cumsum(sizes)
    places = np.searchsorted(rows, ends)
    groups = np.split(rows, places[:-1])
    return [
        (part, group - (end - part.size))
        for part, group, end in zip(parts, groups, ends, strict=True)
        if len(group)
    ]
