"""The cases of ONNX's own backend test: small models with inputs and the outputs they must give."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from glob import escape, glob
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")

Feeds = dict[str, Any]
"""Arrays by input; a list for a sequence, None for an optional without a value."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: its name.
        kind: one of `KINDS`.
        model: the model.
        sets: inputs with the outputs that they must give, the latter in the graph's order.
        rtol: how far outputs may be apart, as a share of what they must be.
        atol: what may be added to that.
    """

    name: str
    kind: str
    model: onnx.ModelProto
    sets: list[tuple[Feeds, list[Any]]]
    rtol: float
    atol: float


def case_names(kinds: Iterable[str], patterns: Sequence[str]) -> list[tuple[str, str]]:
    """Kind and name of each case of some kinds whose name matches a pattern."""
    return [
        (kind, name)
        for kind in kinds
        for name in sorted(_tests(kind))
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]


def read_case(kind: str, name: str) -> Case:
    """Reads one case with its data."""
    test = _tests(kind)[name]
    if test.model_dir is None:
        model, sets = test.model, [_decoded(*given) for given in test.data_sets]
    else:
        folder = Path(test.model_dir)
        model = onnx.load(folder / "model.onnx")
        places = sorted(glob(f"{escape(str(folder))}/test_data_set_*"))
        sets = [_read_set(Path(place), model.graph) for place in places]
    names = [info.name for info in model.graph.input]
    named = [(dict(zip(names, fed, strict=False)), wanted) for fed, wanted in sets]
    return Case(name, kind, model, named, test.rtol, test.atol)


@cache
def _tests(kind: str) -> Mapping[str, TestCase]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the node cases are computed, some beyond their types
        return {test.name: test for test in load_model_tests(kind=kind)}


def _decoded(fed: Sequence[Any], wanted: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    return [_plain(value) for value in fed], [_plain(value) for value in wanted]


def _plain(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value if value is None else np.asarray(value)


def _read_set(folder: Path, graph: onnx.GraphProto) -> tuple[list[Any], list[Any]]:
    return (
        [_read(path, graph.input[i]) for i, path in enumerate(_files(folder, "input"))],
        [_read(path, graph.output[i]) for i, path in enumerate(_files(folder, "output"))],
    )


def _files(folder: Path, kind: str) -> list[Path]:
    return [folder / f"{kind}_{i}.pb" for i in range(len(list(folder.glob(f"{kind}_*.pb"))))]


def _read(path: Path, info: onnx.ValueInfoProto) -> Any:
    content = path.read_bytes()
    if info.type.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if info.type.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return numpy_helper.to_array(onnx.TensorProto.FromString(content))
