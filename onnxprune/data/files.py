"""Data in files: what a path holds, part by part."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path

from onnxprune.data.columns import (
    Array,
    Column,
    LoadedColumn,
    npy_column,
    npz_columns,
    reading,
)
from onnxprune.data.fitting import Layout
from onnxprune.data.parts import Arrays, Part, part_of
from onnxprune.errors import UsageError
from onnxprune.ir.testdata import read_tensor

_KINDS = "an .npz, an .npy, or a folder of .npz, .npy or test_data_set_* folders"


def parts_at(path: Path, layout: Layout) -> list[Part]:
    """What a file or folder holds, in natural order; only headers are read.

    Args:
        path: an ``.npz`` or ``.npy``, or a folder of either, or of ``test_data_set_*`` folders.
        layout: how samples make up feeds.

    Raises:
        UsageError: it cannot be read, or does not fit the inputs.
    """
    if not path.exists():
        hint = f"give {_KINDS}, or module:function"
        raise UsageError("there is no such data", where=str(path), hint=hint)
    if path.is_dir():
        return _in_folder(path, layout)
    if path.suffix == ".npz":
        return [part_of(npz_columns(path), layout, str(path))]
    if path.suffix == ".npy":
        return [part_of({path.stem: partial(npy_column, path)}, layout, str(path))]
    raise UsageError(
        "the data is of no kind that can be read", where=str(path), hint=f"give {_KINDS}"
    )


def _in_folder(folder: Path, layout: Layout) -> list[Part]:
    with reading(str(folder)):
        paths = sorted(folder.iterdir(), key=_natural)
    archives, arrays = ([p for p in paths if p.suffix == suffix] for suffix in (".npz", ".npy"))
    sets = [p for p in paths if p.name.startswith("test_data_set_") and p.is_dir()]
    if not sets and _tensor_files(folder):
        sets = [folder]
    kinds = sum(map(bool, (archives, arrays, sets)))
    if kinds != 1:
        held = "more than one kind" if kinds else "none"
        raise UsageError(
            "the folder does not say what the data is",
            where=str(folder),
            why=f"it holds {held} of .npz files, .npy files and test_data_set_* folders",
            hint="give a folder with one of these kinds",
        )
    if arrays:
        return _of_arrays(arrays, layout, str(folder))
    return [part_of(npz_columns(path), layout, str(path)) for path in archives] + [
        part_of(_tensors(path, layout), layout, str(path)) for path in sets
    ]


def _of_arrays(paths: list[Path], layout: Layout, where: str) -> list[Part]:
    """A file for each input; or, for one input, a file for each sample or stack of samples."""
    arrays = {path.stem: partial(npy_column, path) for path in paths}
    only = layout.inputs[0].name
    if len(layout.inputs) > 1 or only in arrays or layout.labels not in (None, *arrays):
        return [part_of(arrays, layout, where)]
    bare = replace(layout, labels=None)
    parts = [
        part_of({only: read}, bare, where) for key, read in arrays.items() if key != layout.labels
    ]
    if layout.labels is None:
        return parts
    column = arrays[layout.labels]()
    total = sum(part.size for part in parts)
    if column.shape[:1] != (total,):
        raise UsageError(
            "there is not one label for each sample",
            where=column.where,
            why=f"its shape is {list(column.shape)}, and there are {total} samples",
        )
    ends = accumulate(part.size for part in parts)
    return [
        replace(part, layout=layout, labels=column.between(end - part.size, end))
        for end, part in zip(ends, parts, strict=True)
    ]


def _tensors(folder: Path, layout: Layout) -> Arrays:
    """The inputs of one test data set, by their names, or in the order of the model's inputs."""
    ordered = [declared.name for declared in layout.inputs]
    found: dict[str, Callable[[], Column]] = {}
    for place, path in _tensor_files(folder):
        name, array = read_tensor(path)
        if name not in (*ordered, layout.labels):
            name = ordered[place] if place < len(ordered) else path.stem
        if name in found:
            raise UsageError(f"two files are for input {name!r}", where=str(folder))
        load = partial(_tensor, path)
        found[name] = partial(LoadedColumn, str(path), array.dtype, array.shape, load)
    return found


def _tensor(path: Path) -> Array:
    return read_tensor(path)[1]


def _tensor_files(folder: Path) -> list[tuple[int, Path]]:
    places = ((path.stem.removeprefix("input_"), path) for path in folder.glob("input_*.pb"))
    return sorted((int(place), path) for place, path in places if place.isdecimal())


def _natural(path: Path) -> list[int | str]:
    """Numbers in names by value: 10 follows 9."""
    return [int(p) if at % 2 else p for at, p in enumerate(re.split(r"(\d+)", path.name))]
