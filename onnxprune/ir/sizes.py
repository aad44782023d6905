"""Sizes that a model runs at, where those that the analysis would take are not among them.

Exporters call axes dynamic that are not: a text recogniser takes images of one height only, a voice
detector so many samples at a time. What the file does not say is found by trying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from time import monotonic

from onnxprune.errors import OnnxPruneError
from onnxprune.ir import bindings
from onnxprune.ir.measure import simple_feeds
from onnxprune.ir.model import Model
from onnxprune.ir.shapes import Shape
from onnxprune.runtime import Session

Axes = Sequence[tuple[str, int]]
"""Axes of inputs that have one size: input and axis."""
BATCHES = (1, 3)
IMAGES = (48, 32, 64, 224, 256, 128, 384, 320, 512, 640, 96, 112, 299, 448, 16, 28, 1024)
SEQUENCES = (2, 1, 512, 64, 128, 256, 16, 32, 384, 1024, 576, 96, 320, 640, 1536, 4096, 16000)
"""What is tried for a leading axis, an axis of an image, and any other, nearest first."""
PATIENCE_S = 20.0
ATTEMPTS = 600


def usual_bindings(
    model: Model, fixed: Mapping[str, Shape] | None = None
) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Two bindings of the inputs, at sizes that most models take; see `bindings`.

    Leading axes of different names differ in the second one, unless the model does not run then.

    Args:
        model: the model as it was loaded.
        fixed: shapes of inputs that the user gave.
    """
    first = bindings.input_shapes(model.proto, fixed)
    apart, alike = (
        bindings.input_shapes(model.proto, None, 1, fixed, apart=apart) for apart in (True, False)
    )
    return first, apart if apart == alike or _runs(model, apart) else alike


def _runs(model: Model, shapes: Mapping[str, Shape]) -> bool:
    try:
        return _Trial(model).runs(shapes)
    except OnnxPruneError:
        return False


def runnable_bindings(model: Model) -> tuple[dict[str, Shape], dict[str, Shape]] | None:
    """Two bindings of the inputs that the model runs at; None where no attempt succeeds.

    Combinations of sizes are tried in the order of how far they are from what the analysis would
    take, until `ATTEMPTS` or `PATIENCE_S` are used up. The second binding differs from the first
    in all axes that are really dynamic.

    Args:
        model: a model with dynamic axes.
    """
    try:
        trial = _Trial(model)
    except OnnxPruneError:
        return None
    first = next((shapes for shapes in trial.candidates() if trial.runs(shapes)), None)
    return None if first is None else (first, trial.varied(first))


class _Trial:
    """One session of a model, run at many sizes."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._session = Session(model.to_bytes(), optimization="none", quiet=True)
        self._default = bindings.input_shapes(model.proto)
        self._other = bindings.input_shapes(model.proto, variant=1)
        self._axes = _dynamic_axes(self._default, self._other)

    def runs(self, shapes: Mapping[str, Shape]) -> bool:
        try:
            self._session.run(simple_feeds(self._model, shapes, 0))
        except OnnxPruneError:
            return False
        return True

    def candidates(self) -> Iterator[dict[str, Shape]]:
        """Shapes of all inputs, those nearest to the default first."""
        choices = [(size, *self._sizes(axes)) for size, axes in self._axes.items()]
        ranks = product(*(range(len(options)) for options in choices))
        deadline = monotonic() + PATIENCE_S
        for attempt, rank in enumerate(sorted(ranks, key=lambda picked: (sum(picked), picked))):
            if attempt >= ATTEMPTS or monotonic() > deadline:
                return
            shapes = self._default
            for axes, options, place in zip(self._axes.values(), choices, rank, strict=True):
                shapes = _resized(shapes, axes, options[place])
            yield shapes

    def varied(self, first: dict[str, Shape]) -> dict[str, Shape]:
        """Other sizes for the axes that take any: those of one size together, or one by one."""
        alike: dict[int, list[tuple[str, int]]] = {}
        for axes in self._axes.values():
            for name, axis in axes:
                alike.setdefault(first[name][axis], []).append((name, axis))
        second = first
        for axes in (*alike.values(), *self._axes.values()):
            name, axis = axes[0]
            if second[name][axis] != first[name][axis]:
                continue
            for size in (self._other[name][axis], *self._sizes(axes)):
                changed = _resized(second, axes, size)
                if size != first[name][axis] and self.runs(changed):
                    second = changed
                    break
        return second

    def _sizes(self, axes: Axes) -> Sequence[int]:
        if any(axis == 0 for _, axis in axes):
            return BATCHES
        images = all(axis > 1 and len(self._default[name]) > 3 for name, axis in axes)
        return IMAGES if images else SEQUENCES


def _dynamic_axes(first: Mapping[str, Shape], second: Mapping[str, Shape]) -> dict[int, Axes]:
    """The axes that differ between two bindings, by their size in the first."""
    found: dict[int, list[tuple[str, int]]] = {}
    for name, shape in first.items():
        for axis, (size, other) in enumerate(zip(shape, second[name], strict=True)):
            if size != other:
                found.setdefault(size, []).append((name, axis))
    return dict(found)


def _resized(shapes: Mapping[str, Shape], axes: Axes, size: int) -> dict[str, Shape]:
    lists = {name: list(shape) for name, shape in shapes.items()}
    for name, axis in axes:
        lists[name][axis] = size
    return {name: tuple(shape) for name, shape in lists.items()}
