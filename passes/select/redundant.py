"""Channels without which a model computes the same, and what changes at those that read them.

A channel is redundant if each layer that sums over it does not read it, or reads one number there
for all inputs, which its bias takes over; or if another channel is a multiple of it everywhere, so
that this one's weights take over. Nothing else may look at the channels together: what normalises
over them would miss one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keep, places_of
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import KINDS, Group, choose
from onnxprune.coupling.values import channel_values
from onnxprune.ops.affine import Linear, by_tap, linear_form
from onnxprune.ops.numbering import Channels
from onnxprune.passes.select.alignment import RoundTo, kept_steps

Array = npt.NDArray[Any]
Summing = Mapping[Dim, Mapping[int, bool]]
"""By leaf the places of the nodes that look at its indices together, and whether they only sum."""
_ALIKE = 1e-9
"""By so much may the factors differ with which several places hold the same."""


@dataclass(slots=True)
class Redundant:
    """What can go, and what must change with it.

    Attributes:
        keeps: what stays of each group, by its index.
        weights: new elements by name of the constant.
        biases: what is added to each output channel of a layer, by its place.
        counts: how many channels go for which reason.
    """

    keeps: dict[int, Keep] = field(default_factory=dict[int, Keep])
    weights: dict[str, Array] = field(default_factory=dict[str, Array])
    biases: dict[int, Array] = field(default_factory=dict[int, Array])
    counts: Counter[str] = field(default_factory=Counter[str])


def find_redundant(analysis: Analysis, groups: Sequence[Group], round_to: RoundTo = 1) -> Redundant:
    """Find out what a model does not need.

    Args:
        analysis: the model.
        groups: its coupling groups.
        round_to: widths become multiples of it; some channels stay for that.
    """
    values = channel_values(analysis)
    summing = _summing(analysis)
    uses = Counter(name for placed in analysis.placed for name in placed.node.inputs)
    found = Redundant()
    chosen = choose(groups, [kind for kind in KINDS if kind != "vocabulary"])
    steps = kept_steps(analysis, chosen, round_to, dict.fromkeys(chosen, 1))
    for group in chosen:
        readers = _readers(analysis, group.leaf, summing, values, uses)
        if readers:
            _decide(group, readers, steps[group], analysis, found)
    return found


@dataclass(slots=True, eq=False)
class _Reader:
    """A layer that sums over a group.

    Attributes:
        place: of its node.
        form: what it computes.
        weight: name of its weight.
        seen: what is known of what it reads, for each index of the group: ``[v, p]``; None if
            nothing is.
        places: where the indices lie on the axis that it reads, ``[v, p]``.
        axis: the weight's axis that carries the group.
        rows: where they lie on that, ``[v, q]``.
        unread: the indices that it multiplies with zeros alone.
        size: of the axis that it reads.
    """

    place: int
    form: Linear
    weight: str
    seen: Channels | None
    places: Array
    axis: int
    rows: Array
    unread: Array
    size: int


def _readers(
    analysis: Analysis, leaf: Dim, summing: Summing, values: dict[str, Channels], uses: Counter[str]
) -> list[_Reader]:
    """The layers that sum over a leaf; none if anything else looks at its indices together."""
    found = [
        _reader(analysis, place, leaf, values, uses) if is_layer else None
        for place, is_layer in summing.get(leaf, {}).items()
    ]
    known = [reader for reader in found if reader is not None]
    return known if len(known) == len(found) else []


def _summing(analysis: Analysis) -> Summing:
    """Who looks at all indices of each leaf together: the places of nodes, in order.

    A layer only sums over them, so that each has a part of its own in the result.
    """
    found: dict[Dim, dict[int, bool]] = defaultdict(dict)
    for place, placed in enumerate(analysis.placed):
        for role in placed.site.roles:
            if role.name in ("contracted", "reduced", "handed"):
                for leaf in role.dim.leaves():
                    alone = found[leaf].get(place, True)
                    found[leaf][place] = alone and role.name == "contracted"
    return found


def _reader(
    analysis: Analysis, place: int, leaf: Dim, values: dict[str, Channels], uses: Counter[str]
) -> _Reader | None:
    placed = analysis.placed[place]
    form = linear_form(placed.site, {})
    constants = analysis.canonical.model.constants
    if form is None or placed.node.within:
        return None
    name, x = placed.node.inputs[form.weight], placed.site.x()
    if name not in constants or uses[name] > 1 or leaf not in x.dims[form.inner].leaves():
        return None
    dims = analysis.values[name].dims
    axes = [axis for axis, dim in enumerate(dims) if leaf in dim.leaves()]
    carrying = [axis for axis, dim in enumerate(x.dims) if leaf in dim.leaves()]
    if len(axes) != 1 or carrying != [form.inner] or dims[axes[0]].family is not None:
        return None
    places = places_of(x.dims[form.inner], leaf)
    rows = places_of(dims[axes[0]], leaf)
    array = np.moveaxis(constants[name].numpy(), axes[0], 0)
    unread = np.asarray(~array[rows].any(axis=tuple(range(1, array.ndim + 1))))
    seen = values.get(x.name)
    known = seen if seen is not None and seen.axis == form.inner else None
    size = x.shape[form.inner]
    return _Reader(place, form, name, known, places, axes[0], rows, unread, size)


def _decide(
    group: Group,
    readers: Sequence[_Reader],
    counts: Sequence[int],
    analysis: Analysis,
    found: Redundant,
) -> None:
    """Decide on a group, which may keep so many indices as `counts` has."""
    unread = np.all([reader.unread for reader in readers], axis=0)
    fixed = np.all([reader.unread | _is_fixed(reader) for reader in readers], axis=0)
    twin, factor = _twins(group.size, readers)
    gone = fixed.copy()
    if gone.all():
        gone[0] = False
    for index in range(group.size):
        gone[index] |= not fixed[index] and twin[index] != index and not gone[twin[index]]
    needed = group.size - int(gone.sum())
    spare: int = min(count for count in counts if count >= needed) - needed
    gone[np.flatnonzero(gone)[::-1][:spare]] = False
    if not gone.any():
        return
    found.keeps[group.index] = Keep(~gone)
    merged = np.flatnonzero(gone & ~fixed)
    found.counts["read by nothing"] += int((gone & unread).sum())
    found.counts["constant"] += int((gone & fixed & ~unread).sum())
    found.counts["a multiple of another"] += len(merged)
    constants = analysis.canonical.model.constants
    for number, reader in enumerate(readers):
        old = found.weights.get(reader.weight)
        weight = constants[reader.weight].numpy().astype(np.float64) if old is None else old
        held = np.flatnonzero(gone & fixed & ~reader.unread)
        if held.size and reader.seen is not None:
            x = np.zeros(reader.size)
            x[reader.places[held]] = reader.seen.factor[reader.places[held]]
            if x.any():
                added = _gives(reader.form, weight, x)
                found.biases[reader.place] = found.biases.get(reader.place, 0.0) + added
        if merged.size or held.size:
            weight = weight.copy()
            rows = np.moveaxis(weight, reader.axis, 0)
            for index in merged.tolist():
                share = factor[number][index]
                rows[reader.rows[twin[index]]] += share * rows[reader.rows[index]]
            rows[reader.rows[[*merged, *held]]] = 0
            found.weights[reader.weight] = weight


def _is_fixed(reader: _Reader) -> Array:
    """Which indices a layer reads as one number, at borders as well."""
    if reader.seen is None:
        return np.zeros(len(reader.places), dtype=np.bool_)
    constant = reader.seen.constant[reader.places]
    zero = reader.seen.factor[reader.places] == 0
    fixed: Array = (constant & (zero | reader.form.whole)).all(axis=1)
    return fixed


def _twins(size: int, readers: Sequence[_Reader]) -> tuple[Array, list[Array]]:
    """For each index the first that it is a multiple of for all layers, and how many times."""
    twin = np.arange(size)
    factors = [np.ones(size) for _ in readers]
    if any(reader.seen is None for reader in readers):
        return twin, factors
    seen = [reader.seen for reader in readers if reader.seen is not None]
    first: dict[tuple[int, ...], int] = {}
    for index in range(size):
        places = [reader.places[index] for reader in readers]
        key = tuple(
            int(n) for s, at in zip(seen, places, strict=True) for n in s.number[at].tolist()
        )
        other = first.setdefault(key, index)
        if other == index:
            continue
        for number, (known, reader) in enumerate(zip(seen, readers, strict=True)):
            mine, theirs = (known.factor[reader.places[at]] for at in (index, other))
            shares = mine / np.where(theirs == 0, np.nan, theirs)
            if not np.abs(shares - shares[0]).max() <= _ALIKE * abs(shares[0]):
                break
            factors[number][index] = shares[0]
        else:
            twin[index] = other
    return twin, factors


def _gives(form: Linear, weight: Array, x: Array) -> Array:
    """What a layer gives for numbers that are the same at all places, without its bias."""
    matrix = form.matrix(weight)
    given: Array = np.einsum("gkm,gk->gm", matrix, by_tap(x, matrix)).reshape(-1)
    return given
