"""Zeros in weights: how many there are, in which pattern, and which channels have nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.cost.macs import NOTHING
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed
from onnxprune.ops.affine import Linear, linear_form

Array = npt.NDArray[Any]

PATTERNS = ((1, 4), (1, 2), (2, 4), (4, 8))
"""N and M of the N:M patterns that are looked for; what conforms to one conforms to all behind."""


@dataclass(frozen=True, slots=True)
class Channels:
    """What zeros make of the channels of a weight that a layer multiplies by.

    Attributes:
        reads: how many channels each output sums over.
        inputs: channels of the input, of all groups together.
        outputs: channels of the output.
        empty_inputs: those of the input that have only zeros.
        empty_outputs: those of the output.
        patterns: those of `PATTERNS` that it conforms to, along the channels that it sums over.
    """

    reads: int
    inputs: int
    outputs: int
    empty_inputs: int
    empty_outputs: int
    patterns: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Zeros:
    """The zeros of one weight.

    Attributes:
        name: of the initializer.
        shape: its shape.
        numbers: how many numbers it holds.
        zeros: how many of them are zero; of integers those that stand for it.
        readers: the operators that read it or the numbers that it stands for, as (name, type).
        channels: None where no operator multiplies by it in a linear form; see `linear_form`.
        macs: multiply-accumulates of the layers that do.
    """

    name: str
    shape: tuple[int, ...]
    numbers: int
    zeros: int
    readers: tuple[tuple[str, str], ...]
    channels: Channels | None
    macs: int

    @property
    def share(self) -> float:
        """The share of zeros."""
        return self.zeros / self.numbers


def conforms(matrix: Array, taps: int, most: int, of: int) -> bool:
    """Whether a weight has at most N numbers that are not zero among each M channels in a row.

    Channels are counted for each tap of the kernel and each output by itself. Fewer than M at the
    end may have N, too.

    Args:
        matrix: the weight as `Linear.matrix` gives it, ``[g, k, m]``.
        taps: how many taps each channel has in k, which lists all taps of a channel in a row.
        most: N.
        of: M.
    """
    groups, reads, outputs = matrix.shape
    there = (matrix != 0).reshape(groups, reads // taps, taps, outputs)
    rest = -(reads // taps) % of
    rows = np.pad(there, ((0, 0), (0, rest), (0, 0), (0, 0))).reshape(groups, -1, of, taps, outputs)
    return bool((np.count_nonzero(rows, axis=2) <= most).all())


def weight_zeros(analysis: Analysis) -> Iterator[Zeros]:
    """The zeros of each weight, in file order; one that nodes share is counted once.

    Args:
        analysis: the model.

    Raises:
        ModelError: a weight cannot be read.
    """
    readers = _readers(analysis)
    sources = analysis.canonical.provenance
    views: dict[str, list[str]] = {}
    for name in analysis.weights:
        if name not in analysis.steps:
            views.setdefault(sources.get(name, name), []).append(name)
    for name, members in views.items():
        yield _zeros_of(analysis, name, members, [r for view in members for r in readers[view]])


def _readers(analysis: Analysis) -> dict[str, list[tuple[Placed, int]]]:
    """For each weight the operators that read it, and at which input; not those that decode it."""
    readers: dict[str, list[tuple[Placed, int]]] = {name: [] for name in analysis.weights}
    for placed in analysis.placed:
        if placed.node.outputs and placed.node.outputs[0] in analysis.decoded:
            continue
        for place, name in enumerate(placed.node.inputs):
            weight = analysis.weight_of(name)
            if weight in readers:
                readers[weight].append((placed, place))
    return readers


def _zeros_of(
    analysis: Analysis, name: str, members: list[str], readers: list[tuple[Placed, int]]
) -> Zeros:
    numbers = analysis.numbers(members[0])
    there = numbers != 0
    found: list[Channels] = []
    macs = 0
    for placed, place in readers:
        form = _form(placed)
        if form is not None and form.weight == place:
            taps_of = placed.site.x().shape[form.inner]
            found.append(_channels(form.matrix(there), taps_of))
            macs += placed.macs(NOTHING)
    return Zeros(
        name,
        analysis.canonical.model.constants[members[0]].shape,
        numbers.size,
        numbers.size - int(np.count_nonzero(there)),
        tuple((placed.node.name, placed.node.op_type) for placed, _ in readers),
        _together(found),
        macs,
    )


def _form(placed: Placed) -> Linear | None:
    """An operator as a layer with a constant weight, where its shapes are known."""
    site = placed.site
    known = all(site.inputs[:2]) and all(site.outputs[:1])
    return linear_form(site, NOTHING) if known else None


def _channels(matrix: Array, inputs: int) -> Channels:
    """What is known of a layer's weight; `inputs` counts the channels that the layer reads."""
    groups, reads, outputs = matrix.shape
    taps = max(reads * groups // max(inputs, 1), 1)
    by_channel = matrix.reshape(groups, -1, taps, outputs)
    patterns = (pattern for pattern in PATTERNS if conforms(matrix, taps, *pattern))
    return Channels(
        reads // taps,
        inputs,
        groups * outputs,
        int(np.count_nonzero(~by_channel.any(axis=(2, 3)))),
        int(np.count_nonzero(~by_channel.any(axis=(1, 2)))),
        frozenset(patterns),
    )


def _together(found: Sequence[Channels]) -> Channels | None:
    """What layers that share a weight say of it: a pattern is one for all of them."""
    if not found:
        return None
    shared = (p for p in found[0].patterns if all(p in one.patterns for one in found))
    return replace(found[0], patterns=frozenset(shared))
