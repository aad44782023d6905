"""What layers read in the pruned model, beside what they give in the original."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from onnxprune.axes import is_touched
from onnxprune.data.batches import Batch
from onnxprune.data.narrow import narrowed
from onnxprune.data.spool import Spool
from onnxprune.ir.probe import cut_at
from onnxprune.ops.affine import Linear, Places, Scaling
from onnxprune.passes.remove.slicing import take
from onnxprune.passes.repair.least_squares import HELD_OUT, Array, Moments
from onnxprune.passes.repair.numbers import Numbers
from onnxprune.passes.repair.targets import Target
from onnxprune.passes.work import Removal, ports_of
from onnxprune.progress import track
from onnxprune.verify.sessions import session_of

ROWS = (8192, 49152)
"""Fewest and most rows that a layer is fitted to, if there are so many."""
_ROWS_A_WEIGHT = 16
"""Rows for each number that an output place reads."""


@dataclass(slots=True)
class Seen:
    """Moments of a layer: of samples to fit to, and of others."""

    fit: Moments = field(default_factory=Moments)
    held: Moments = field(default_factory=Moments)


def gather(
    removals: Sequence[Removal],
    pruned: Numbers,
    targets: Sequence[Target],
    data: Spool[Batch],
    seed: int,
    what: str,
) -> dict[Target, Seen]:
    """Run both models over data, and add up what some layers read and should give.

    Layers that lie behind others of them will read something else once those are fitted. They are
    fitted to what the original has in its place: that is what the others are fitted to.

    Args:
        removals: all that was removed from the original so far.
        pruned: the model as it is now.
        targets: the layers.
        data: inputs of the original.
        seed: of the choice of output places.
        what: what to call it while it goes on.

    Returns:
        The moments; a layer of which the shapes are not what they should be has none.
    """
    first_depth = min(target.depth for target in targets)
    behind = {target for target in targets if target.depth > first_depth}
    wanted = [use.y.name for target in targets for use in target.uses]
    wanted += [use.read for target in behind for use in target.uses]
    now = [use.read for target in targets if target not in behind for use in target.uses]
    first = removals[0].analysis.canonical
    types = first.facts.elem_types
    original = cut_at(first.model, dict.fromkeys(wanted), types)
    smaller = cut_at(pruned.model, dict.fromkeys(now), types)
    found = {t: Seen() for t in targets if t not in behind or isinstance(t.form, Linear)}
    ports = ports_of(removals)
    batches = len(data)
    rng = np.random.default_rng(seed)
    offset = 0
    with (
        session_of(original, optimization="all") as before,
        session_of(smaller, optimization="all") as after,
    ):
        for batch in track(data, what):
            y = before.run(batch.feeds)
            x = after.run(narrowed(batch.feeds, ports))
            for target in list(found):
                for use in target.uses:
                    kept = _kept(y[use.y.name], use.y.name, removals)
                    late = target in behind
                    reads = _kept(y[use.read], use.read, removals) if late else x[use.read]
                    if kept is None or reads is None:
                        del found[target]
                        break
                    shape = pruned.shape(target.weight) if target.weight else ()
                    _add(found[target], use.form, shape, reads, kept, batches, offset, rng)
            offset += batch.size
    return {target: seen for target, seen in found.items() if seen.fit.rows}


def _kept(y: Array, name: str, removals: Iterable[Removal]) -> Array | None:
    """What stays of a result of the original; None if its axes are of other sizes than analysed."""
    for removal in removals:
        value = removal.analysis.values[name]
        for axis, dim in enumerate(value.dims):
            if is_touched(dim, removal.keeps) and y.shape[axis] != dim.size:
                return None
        y = take(y, value, removal.keeps)
    return y


def _add(
    seen: Seen,
    form: Linear | Scaling,
    shape: tuple[int, ...],
    x: Array,
    y: Array,
    batches: int,
    offset: int,
    rng: np.random.Generator,
) -> None:
    """Take some places of a batch; `shape` is that of the layer's weight."""
    channels = y.shape[form.axis]
    flat = np.moveaxis(y, form.axis, -1).reshape(-1, channels)
    width = max(int(np.prod(shape)) // channels, 1)
    wanted = int(np.clip(_ROWS_A_WEIGHT * width, *ROWS)) // max(batches, 1) + 1
    places = np.arange(len(flat))
    if len(flat) > wanted:
        places = np.sort(rng.choice(len(flat), wanted, replace=False))
    if isinstance(form, Linear):
        rows = form.rows(x, shape, y.shape, places)
        results = flat[places].reshape(len(places), len(rows), -1).swapaxes(0, 1)
    else:
        rows = np.moveaxis(x, form.axis, -1).reshape(-1, channels)[places].T[:, :, None]
        results = flat[places].T[:, :, None]
    held = _held_out(places, len(flat), y.shape[0], offset)
    rows, results = rows.astype(np.float32, copy=False), results.astype(np.float32, copy=False)
    finite = np.isfinite(rows).all(axis=(0, 2)) & np.isfinite(results).all(axis=(0, 2))
    for moments, chosen in ((seen.fit, ~held & finite), (seen.held, held & finite)):
        moments.add(rows[:, chosen], results[:, chosen])


def _held_out(places: Places, count: int, samples: int, offset: int) -> Array:
    """Which places belong to samples that are not fitted to."""
    sample = offset + places * samples // max(count, 1)
    held: Array = sample % HELD_OUT == HELD_OUT - 1
    return held
