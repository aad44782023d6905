"""Reading a model and its couplings, for the commands that only look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnxprune.cli.console import output
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, find_groups
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.load import load
from onnxprune.ir.model import Model


@dataclass(frozen=True, slots=True)
class Study:
    """A model, its analysis and its coupling groups."""

    model: Model
    analysis: Analysis
    groups: list[Group]


def study(
    path: Path, input_shapes: Mapping[str, tuple[int, ...]], allow_io: Iterable[str] = ()
) -> Study:
    """Load and analyse a model.

    Args:
        path: its file.
        input_shapes: shapes of dynamic inputs, by name.
        allow_io: axes of graph inputs and outputs that may be pruned, as ``NAME:AXIS``.

    Raises:
        ModelError: the model cannot be handled.
        UsageError: the shapes do not fit it.
    """
    model = load(path)
    output().stage("analysing")
    analysis = analyse(canonicalise(model, input_shapes), allow_io=allow_io)
    return Study(model, analysis, find_groups(analysis))
