"""Do two models compute the same? Both are run whole in float64, by onnx's own reference.

The operators are not those that the proof runs: `onnx.reference`, in double precision. The inputs
are the proof's own, and then others: louder ones, ones of another size, and ones that look up every
row of a table. What the proof let pass is one of three things: equivalent, to 1e-9 of each tensor's
size; different by no more than the proof says that it tolerates; or missed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import onnxprune as op
from onnxprune.data.random import Feeds
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.probe import with_outputs
from onnxprune.pipelines.inputs import Inputs
from onnxprune.verify.deviation import EXTREME, MUTE
from onnxprune.verify.sessions import session_of
from onnxprune.verify.tolerance import Tolerances

EQUAL = 1e-9
"""Tensors that differ by less than this share of their size are equal in float64."""
TRUSTED = 1e-3
"""So near must the reference be to ONNX Runtime, as a share of a tensor's size, to be believed."""
DOUBTFUL = 10.0
"""Other inputs than the proof's own show a fault that it missed if they show so many bounds: how
much a small tensor varies over two inputs is itself known to a factor of a few only."""
_LOOKUPS = 1024
"""So many sets of indices are tried at most to look up every row of a table..."""
_LOOKUP_BATCH = 16
"""... with so many sequences in each, where the model takes so many."""
_LOUD = 16.0
_SEED = 7919
"""Far from the seeds that the proof draws its inputs with."""
_FLOAT, _DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
_TOLERANCE = Tolerances().of(np.dtype(np.float32))

Array = npt.NDArray[Any]
Values = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a model is from another one, in the tensor where it is farthest.

    Attributes:
        tensor: its name; "" if there is no difference at all.
        size: largest difference as a share of the tensor's largest element.
        variation: the same as a share of the tensor's own variation over inputs.
        bounds: the same in units of what the proof tolerates.
        inputs: the inputs that show it.
        own: whether these are the proof's own.
        precision: what it was computed in.
    """

    tensor: str = ""
    size: float = 0.0
    variation: float = 0.0
    bounds: float = 0.0
    inputs: str = ""
    own: bool = False
    precision: str = "float64"

    @property
    def is_none(self) -> bool:
        """Whether both models compute the same."""
        return self.size <= EQUAL

    @property
    def is_beyond(self) -> bool:
        """Whether it is more than the proof tolerates."""
        return self.excess > 1

    @property
    def excess(self) -> float:
        """What it is in units of what is no longer tolerated."""
        return self.bounds if self.own else self.bounds / DOUBTFUL


@dataclass(frozen=True, slots=True)
class Trial:
    """Two sets of inputs or more, what they are called, and whether they are the proof's own."""

    title: str
    feeds: list[Feeds]
    own: bool = False


class Arbiter:
    """Judges copies of one model."""

    def __init__(self, model: Path, seed: int) -> None:
        """Compare others with a model.

        Args:
            model: where it is.
            seed: that the proof draws its inputs with.
        """
        self._path = model
        self._model = op.load(model)
        self._seed = seed

    @cached_property
    def _trials(self) -> list[Trial]:
        own, inputs = (Inputs(self._model, {}, seed=seed) for seed in (self._seed, _SEED))
        trials = [
            Trial("its own inputs", own.feeds(), own=True),
            Trial("its own inputs of another size", own.feeds(variant=1), own=True),
            Trial("other inputs", inputs.feeds(2, 1)),
            Trial("louder inputs", inputs.feeds(2, 1, amplitude=_LOUD)),
            Trial("every row looked up", list(_lookups(inputs))),
        ]
        with session_of(self._model, quiet=True) as session:
            return [t for t in trials if t.feeds and _runs(session, t.feeds[0])]

    @cached_property
    def _reference(self) -> ReferenceEvaluator | None:
        """The model in float64, if that comes to what ONNX Runtime makes of it."""
        reference = ReferenceEvaluator(in_double(onnx.load(self._path)))
        feeds = self._trials[0].feeds[0]
        try:
            double = _evaluate(reference, feeds)
        except Exception:  # whatever the reference implementation raises
            return None
        with session_of(self._model) as session:
            single = session.run(feeds)
        near = all(_distance(double[k], v)[1] <= TRUSTED for k, v in single.items())
        return reference if near else None

    def difference(self, path: Path) -> Difference:
        """Compare the model at another path, in all values that both compute."""
        other = op.load(path)
        names = _shared(self._model, other)
        worst = Difference()
        for trial in self._trials:
            found = self._in_double(path, trial, names) or self._in_single(other, trial, names)
            worst = max(worst, found, key=lambda d: (d.excess, d.size))
        return worst

    def _in_double(self, path: Path, trial: Trial, names: Sequence[str]) -> Difference | None:
        """The difference; None if the reference cannot run one of them."""
        if self._reference is None:
            return None
        other = ReferenceEvaluator(in_double(onnx.load(path)))
        try:
            runs = (
                (_evaluate(self._reference, feeds), _evaluate(other, feeds))
                for feeds in trial.feeds
            )
            return _compare(runs, names, trial, "float64")
        except Exception:  # whatever the reference implementation raises
            return None

    def _in_single(self, other: op.Model, trial: Trial, names: Sequence[str]) -> Difference:
        """The difference in float32, with what one of them cannot run being beyond bounds."""
        with (
            session_of(with_outputs(self._model, names, {})) as first,
            session_of(with_outputs(other, names, {}), quiet=True) as second,
        ):
            try:
                runs = ((first.run(feeds), second.run(feeds)) for feeds in trial.feeds)
                return _compare(runs, names, trial, "float32")
            except RuntimeFailureError:
                return _does_not_run(trial)


def _does_not_run(trial: Trial) -> Difference:
    beyond = float("inf")
    name = "it does not run"
    return Difference(name, beyond, beyond, beyond, trial.title, trial.own, "float32")


def in_double(model: onnx.ModelProto) -> onnx.ModelProto:
    """Makes all of a model float64, in place."""
    _widen(model.graph)
    return model


def _widen(graph: onnx.GraphProto) -> None:
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type == _FLOAT:
            info.type.tensor_type.elem_type = _DOUBLE
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                _widen(attribute.g)
            elif attribute.name in ("to", "dtype") and attribute.i == _FLOAT:
                attribute.i = _DOUBLE


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == _FLOAT:
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _evaluate(reference: ReferenceEvaluator, feeds: Feeds) -> Values:
    wide = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in feeds.items()}
    with np.errstate(all="ignore"):
        values: Values = reference.run(None, wide, intermediate=True)  # type: ignore[assignment]
    return values


def _lookups(inputs: Inputs) -> Iterator[Feeds]:
    """Inputs whose indices go through all that the tables they look up hold."""
    specs = inputs.specs(_LOOKUP_BATCH)
    sizes = {s.name: int(np.prod(s.shape)) for s in specs if s.limit is not None}
    rounds = max((-(-(s.limit or 0) // sizes[s.name]) for s in specs if s.name in sizes), default=0)
    rounds = min(rounds, _LOOKUPS)
    for turn, feeds in enumerate(inputs.feeds(rounds, _LOOKUP_BATCH) if rounds else ()):
        for spec in specs:
            if spec.limit is not None:
                size = sizes[spec.name]
                rows = np.arange(turn * size, (turn + 1) * size) % max(spec.limit, 1)
                feeds[spec.name] = rows.reshape(spec.shape).astype(spec.dtype)
        yield feeds


def _runs(session: Any, feeds: Feeds) -> bool:
    try:
        session.run(feeds)
    except RuntimeFailureError:
        return False
    return True


def _shared(first: op.Model, second: op.Model) -> list[str]:
    made = {name for node in second.proto.graph.node for name in node.output if name}
    return [
        name
        for node in first.proto.graph.node
        if node.op_type != "Constant"
        for name in node.output
        if name in made
    ]


def _compare(
    runs: Iterator[tuple[Values, Values]], names: Sequence[str], trial: Trial, precision: str
) -> Difference:
    """The largest difference over several runs of both models; each is let go after it is used."""
    errors = dict.fromkeys(names, 0.0)
    peaks, spreads, sizes = (dict.fromkeys(names, 0.0) for _ in range(3))
    for (before, _), (values, others) in pairwise(_twice_first(runs)):
        for name in names:
            error, _ = _distance(values[name], others[name])
            errors[name] = max(errors[name], error)
            calm = _calm(values[name])
            peaks[name] = max(peaks[name], float(np.abs(calm).max(initial=0)))
            sizes[name] = max(sizes[name], _rms(calm))
            if before[name].shape == calm.shape:
                spreads[name] = max(spreads[name], _rms(calm - _calm(before[name])))
    found = [
        _difference(name, errors[name], peaks[name], spreads[name], sizes[name])
        for name in names
        if errors[name] > 0
    ]
    worst = max(found, key=lambda d: (d.bounds, d.size), default=Difference())
    return replace(worst, inputs=trial.title, own=trial.own, precision=precision)


def _twice_first(runs: Iterator[tuple[Values, Values]]) -> Iterator[tuple[Values, Values]]:
    for place, run in enumerate(runs):
        if place == 0:
            yield run
        yield run


def _difference(name: str, error: float, peak: float, spread: float, size: float) -> Difference:
    bound = _TOLERANCE.floor * peak
    if spread > MUTE * size:
        bound = max(bound, _TOLERANCE.relative * spread)
    return Difference(name, _share(error, peak), _share(error, spread), _share(error, bound))


def _share(error: float, whole: float) -> float:
    return error / whole if whole > 0 else float("inf")


def _distance(first: Array, second: Array) -> tuple[float, float]:
    """Largest difference of two tensors, and as a share of the first one's largest element."""
    if first.shape != second.shape or (first.dtype.kind == "f") != (second.dtype.kind == "f"):
        return float("inf"), float("inf")
    if first.dtype.kind != "f":
        wrong = float(np.count_nonzero(first != second)) / max(first.size, 1)
        return wrong, wrong
    if not np.array_equal(_kinds(first), _kinds(second)):
        return float("inf"), float("inf")
    calm = _calm(first)
    error = float(np.abs(calm - _calm(second)).max(initial=0))
    return error, _share(error, float(np.abs(calm).max(initial=0))) if error else 0.0


def _kinds(array: Array) -> Array:
    """Where a float stands for infinity, and for which, or is no number."""
    kinds: Array = np.where(np.isnan(array), 2, np.sign(array)) * ~(np.abs(array) <= EXTREME)
    return np.nan_to_num(kinds)


def _calm(array: Array) -> Array:
    wide = array.astype(np.float64)
    return np.where(np.abs(wide) <= EXTREME, wide, 0.0)


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(array**2))) if array.size else 0.0
