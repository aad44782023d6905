"""Random inputs for whole models, at more than one size where the model takes more than one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, reduce

from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.inputs import input_specs
from onnxprune.data.dataset import Dataset
from onnxprune.data.random import Feeds, InputSpec, random_sets, resized
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.model import Model
from onnxprune.ir.sizes import runnable_bindings
from onnxprune.progress import expect, tallied
from onnxprune.verify.equivalence import RUNS, Equivalence
from onnxprune.verify.sessions import session_of

Shapes = Mapping[str, tuple[int, ...]]
AMPLITUDES = (1.0, 4.0, 16.0, 64.0)
"""Some models hardly react to standard normal numbers: their outputs saturate, or biases rule."""
MORE = 16
"""So many sets of inputs are tried to make a branch run that did not."""


class Inputs:
    """What a model can be fed."""

    def __init__(
        self, model: Model, shapes: Shapes, analysis: Analysis | None = None, seed: int = 0
    ) -> None:
        """Feed `model`.

        Args:
            model: the model.
            shapes: shapes of dynamic inputs that the user gave.
            analysis: of the model, where it is at hand.
            seed: of the random numbers.
        """
        self._model = model
        self._shapes = shapes
        self._given = analysis
        self._seed = seed

    @cached_property
    def _analysis(self) -> Analysis:
        return self._given or analyse(canonicalise(self._model, self._shapes))

    @cached_property
    def _bindings(self) -> tuple[Shapes, Shapes]:
        """Two bindings of the dynamic axes, those of the analysis if the model runs at them."""
        canonical = self._analysis.canonical
        usual = canonical.inputs, canonical.varied
        if self._shapes or usual[0] == usual[1]:
            return usual
        sets = random_sets(resized(input_specs(self._analysis), usual[0]), 1)
        if any(self._runs(feeds) for feeds in sets):
            return usual
        return runnable_bindings(self._model) or usual

    def specs(self, batch: int = 2, variant: int = 0) -> list[InputSpec]:
        """The inputs with the shapes they are run at.

        Args:
            batch: size of dynamic leading axes, of variant 0.
            variant: 0 for the sizes that the analysis bound dynamic axes to; 1 for others.
        """
        return resized(input_specs(self._analysis), self._run_shapes(batch, variant))

    def feeds(
        self, count: int = 2, batch: int = 2, variant: int = 0, amplitude: float = 1.0
    ) -> list[Feeds]:
        """Random inputs, each set different, `count` for each way through the model; see `specs`.

        A way is what the conditions are that depend on single numbers among the inputs; those that
        the model does not take at this size are left out.
        """
        sets = random_sets(self.specs(batch, variant), count, self._seed, amplitude)
        ways = [sets[place : place + count] for place in range(0, len(sets), count)]
        taken = [way for way in ways if self._runs(way[0])] if len(ways) > 1 else []
        return [feeds for way in taken or ways for feeds in way]

    def at_all_sizes(self, count: int) -> list[Feeds]:
        """Random inputs at every size that the model runs at, `count` for each; see `feeds`."""
        return [
            feeds for batch, variant in self._sizes() for feeds in self.feeds(count, batch, variant)
        ]

    def prove(
        self,
        compare: Callable[[list[Feeds]], Equivalence],
        data: Dataset | None = None,
        steps: int = 1,
    ) -> Equivalence:
        """Compare on random inputs, at every size that the model runs at, and on some of the data.

        Args:
            compare: gives the verdict on two sets of inputs.
            data: inputs that the model is meant for.
            steps: how many pairs of models `compare` runs.

        Returns:
            The worst verdict met, with the largest deviations. Where a body of control flow never
            ran, samples one by one and more of them are tried. Where random inputs or the data
            cannot tell, the others may.
        """
        sets = self._pair_of(data) if data is not None else []
        sizes = [*self._sizes()]
        runs = steps * RUNS
        with tallied("proving, runs of the models", (len(sizes) + bool(sets)) * runs):
            verdicts = [self._prove_at_random(compare, sizes, runs)]
            verdicts += [compare(sets)] if sets else []
        told = [verdict for verdict in verdicts if verdict.finding != "cannot tell"]
        return reduce(Equivalence.joined, told or verdicts[:1])

    def _prove_at_random(
        self,
        compare: Callable[[list[Feeds]], Equivalence],
        sizes: Iterable[tuple[int, int]],
        runs: int,
    ) -> Equivalence:
        worst = reduce(
            Equivalence.joined, [self._insist(compare, *size, runs=runs) for size in sizes]
        )
        for count, batch in ((2, 1), (MORE, 2)):
            if worst.unreached and self._runs_at(batch, 0):
                expect(runs)
                worst = worst.joined(compare(self.feeds(count, batch)))
        return worst

    def _pair_of(self, data: Dataset) -> list[Feeds]:
        """Two sets of inputs out of the data; none if the model does not run on so few samples.

        Where the user gave shapes, the model was analysed for these, and no others will do.
        """
        sets = data.pair()
        fits = all(
            feeds[name].shape == tuple(shape)
            for feeds in sets
            for name, shape in self._shapes.items()
        )
        return sets if sets and fits and self._runs(sets[0]) else []

    def _insist(
        self,
        compare: Callable[[list[Feeds]], Equivalence],
        batch: int,
        variant: int,
        *,
        runs: int,
    ) -> Equivalence:
        """Take larger inputs as long as they prove nothing.

        What only fails at larger ones is rounding more likely than a fault: the first answer stays.
        """
        first = compare(self.feeds(batch=batch, variant=variant))
        for amplitude in AMPLITUDES[1:] if first.finding == "cannot tell" else ():
            expect(runs)
            larger = compare(self.feeds(batch=batch, variant=variant, amplitude=amplitude))
            if larger.finding != "cannot tell":
                return larger if larger.finding == "passed" else first
        return first

    def _sizes(self) -> Iterator[tuple[int, int]]:
        """(batch, variant) of the sizes to run at: another one where axes are dynamic."""
        yield 2, 0
        if self._run_shapes(2, 0) != self._run_shapes(2, 1) and self._runs_at(2, 1):
            yield 2, 1

    def _runs_at(self, batch: int, variant: int) -> bool:
        """Whether the model itself takes the size: a dynamic axis may be less free than it says."""
        return self._runs(self.feeds(1, batch, variant)[0])

    def _runs(self, feeds: Feeds) -> bool:
        with session_of(self._model, quiet=True) as session:
            try:
                session.run(feeds)
            except RuntimeFailureError:
                return False
        return True

    def _run_shapes(self, batch: int, variant: int) -> dict[str, tuple[int, ...]]:
        """Shapes to run at, with `batch` for leading axes that are dynamic, and what follows them.

        The batch may be another axis of a second input, as of a recurrent state. The second variant
        is taken as it is, for it tells leading axes apart that need not be the batch.
        """
        if variant:
            return dict(self._bindings[variant])
        chosen, other = self._bindings
        sizes = {name: list(zip(shape, other[name], strict=True)) for name, shape in chosen.items()}
        batches = {pairs[0] for pairs in sizes.values() if pairs and pairs[0][0] != pairs[0][1]}
        return {
            name: tuple(batch if pair in batches else pair[0] for pair in pairs)
            for name, pairs in sizes.items()
        }
