"""Ports: axes of graph inputs and outputs.

The outside world sees them, so they keep their sizes unless the user allows otherwise, as for the
key and value caches of a decoder.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import numpy as np

from onnxprune.axes import Keeps, axis_mask, is_touched
from onnxprune.data.narrow import Kept
from onnxprune.errors import UsageError, suggestion
from onnxprune.ops.site import Value

Port = tuple[str, int]
"""Name of a graph input or output, and an axis of it."""


def find_ports(shapes: Mapping[str, tuple[int, ...]], allow_io: Iterable[str]) -> frozenset[Port]:
    """The ports that the user allows to be pruned.

    Args:
        shapes: of all graph inputs and outputs, by name.
        allow_io: entries ``NAME:AXIS``; the name may be a glob pattern, the axis is counted from
            the front, or from the back if it is negative.

    Raises:
        UsageError: an entry is malformed or names what there is not.
    """
    ports: set[Port] = set()
    for entry in allow_io:
        pattern, axis = _parse(entry)
        names = [name for name in shapes if fnmatchcase(name, pattern)]
        if not names:
            raise UsageError(
                f"no graph input or output is named {pattern!r}",
                where=f"--allow-io {entry}",
                hint=suggestion(pattern, shapes) or f"there are {', '.join(map(repr, shapes))}",
            )
        for name in names:
            rank = len(shapes[name])
            if not -rank <= axis < rank:
                raise UsageError(
                    f"{name!r} has no axis {axis}",
                    where=f"--allow-io {entry}",
                    hint=f"its shape is {list(shapes[name])}",
                )
            ports.add((name, axis % rank))
    return frozenset(ports)


def as_entries(ports: Iterable[Port]) -> tuple[str, ...]:
    """Ports as entries that `find_ports` reads."""
    return tuple(f"{glob.escape(name)}:{axis}" for name, axis in sorted(ports))


def _parse(entry: str) -> tuple[str, int]:
    name, colon, axis = entry.rpartition(":")
    try:
        number = int(axis)
    except ValueError:
        colon = ""
        number = 0
    if not (name and colon):
        raise UsageError(
            f"{entry!r} does not say which axis may be pruned",
            where="--allow-io",
            hint="write NAME:AXIS, for example past_key_values.0.key:1",
        )
    return name, number


def kept_of_ports(values: Iterable[Value], keeps: Keeps) -> Kept:
    """What a removal keeps of graph inputs and outputs; untouched axes are left out."""
    kept: Kept = {}
    for value in values:
        for axis, dim in enumerate(value.dims):
            if is_touched(dim, keeps):
                kept.setdefault(value.name, {})[axis] = np.flatnonzero(axis_mask(dim, keeps))
    return kept
