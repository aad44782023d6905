"""What passes hand to each other, and what each of them reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import ClassVar, Protocol, runtime_checkable

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, find_groups
from onnxprune.coupling.ports import kept_of_ports
from onnxprune.data.batches import Batch
from onnxprune.data.narrow import Kept, composed
from onnxprune.errors import UsageError
from onnxprune.ir.canonical import Canonical, canonicalise
from onnxprune.ir.model import Model
from onnxprune.passes.remove.slicing import remove
from onnxprune.passes.select.goals import Goals


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that a pass left as it was.

    Attributes:
        reason: the cause in words.
        node: the operator that caused it, or "".
        parameters: number of parameters concerned.
    """

    reason: str
    node: str
    parameters: int


@dataclass(frozen=True, slots=True)
class Repaired:
    """Weights fitted anew after a removal.

    Attributes:
        model: the model with them.
        names: of the weights.
        layers: how many layers were fitted.
        before: squared deviation of the outputs from the original's, as a share of their squares.
        after: the same with the new weights.
        samples: how many samples were looked at.
    """

    model: Model
    names: frozenset[str]
    layers: int
    before: float
    after: float
    samples: int


@dataclass(frozen=True, slots=True)
class Sparsified:
    """Weights that became zero here and there.

    Attributes:
        model: the model with them.
        names: of the constants that changed, zeros and what was fitted around them.
        zeros: number of weights that are zero now, of those that were asked for.
        total: number of those that were asked for.
        layers: how many layers have them.
        method: what chose the zeros.
        deviation: squared deviation of the outputs from the original's, as a share of their
            squares; None without data.
        samples: how many samples were looked at.
    """

    model: Model
    names: frozenset[str]
    zeros: int = 0
    total: int = 0
    layers: int = 0
    method: str = ""
    deviation: float | None = None
    samples: int = 0


@dataclass(slots=True, eq=False)
class Removal:
    """One removal of channels: everything that verification and plans need of it.

    Other weights are noted as what follows a removal, be it one of nothing.

    Attributes:
        analysis: of the model before the removal, in canonical form.
        groups: its coupling groups.
        chosen: those that were offered for selection.
        keeps: what stays of each leaf; leaves that keep everything are absent.
        pruned: the model after the removal, as the proof is about it.
        repaired: what was fitted anew then, if anything was.
        sparsified: what became zero then, if anything did.
        blocks: names of the residual blocks that it removed whole.
        changed: names of the constants that were changed before it, so that nothing is lost.
        permuted: whether channels are in another order than before, and nothing else happened.
    """

    analysis: Analysis
    groups: list[Group]
    chosen: list[Group]
    keeps: dict[Dim, Keep]
    pruned: Model
    repaired: Repaired | None = None
    sparsified: Sparsified | None = None
    blocks: tuple[str, ...] = ()
    changed: frozenset[str] = frozenset()
    permuted: bool = False

    @property
    def reweighted(self) -> Repaired | Sparsified | None:
        """What has other weights on purpose, if anything has."""
        return self.sparsified or self.repaired


def ports_of(removals: Iterable[Removal]) -> Kept:
    """What stays of graph inputs and outputs after removals, by name and axis.

    Whole axes are absent.
    """
    kept: Kept = {}
    for removal in removals:
        kept = composed(kept, kept_of_ports(removal.analysis.ports, removal.keeps))
    return kept


@dataclass(slots=True)
class PassReport:
    """What one pass did.

    Attributes:
        name: the pass with its options, as in a textual pipeline.
        modified: whether the model changed.
        did: what it did, in words.
        refused: what it left as it was, and why.
        seconds: time spent.
    """

    name: str
    modified: bool = False
    did: list[str] = field(default_factory=list[str])
    refused: list[Refusal] = field(default_factory=list[Refusal])
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Work:
    """A model on its way through a pipeline.

    Attributes:
        original: the model as it was loaded.
        model: the model as it is now.
        input_shapes: shapes of dynamic inputs given by the user, by name.
        data: calibration data, which can be gone through more than once; None if there is none.
        removals: what was removed so far.
        reports: one for each pass that ran.
        seconds: time spent on parts of passes (``analyse``, ``remove``).
        known: names of the constants of the first canonical form, which a plan may tell of.
        provenance: the original constant that each constant comes from, of this model or earlier
            ones.
        goals: the widths that steps which follow each other work towards.
        unquantized: the float model that was quantized, once that is done; it is what is proven.
    """

    original: Model
    model: Model
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    data: Iterable[Batch] | None = None
    removals: list[Removal] = field(default_factory=list[Removal])
    reports: list[PassReport] = field(default_factory=list[PassReport])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    known: tuple[str, ...] = ()
    provenance: dict[str, str] = field(default_factory=dict[str, str])
    goals: Goals | None = None
    unquantized: Model | None = None
    _canonical: Canonical | None = None
    _source: Model | None = None

    def canonical(self) -> Canonical:
        """The canonical form of the model as it is now; made once for each model."""
        made = self._canonical
        if made is None or (self.model is not made.model and self.model is not self._source):
            start = perf_counter()
            made = canonicalise(self.model, self.input_shapes)
            self._source, self._canonical = self.model, made
            self.known = self.known or tuple(made.model.constants)
            self.provenance |= {
                name: self.provenance.get(source, source)
                for name, source in made.provenance.items()
            }
            self.note_time("analyse", start)
        return made

    def study(
        self, ignore: Iterable[str] = (), allow_io: Iterable[str] = ()
    ) -> tuple[Analysis, list[Group]]:
        """Analyse the model as it is now; see `coupling.analysis.analyse`.

        Returns:
            The analysis and all coupling groups.
        """
        start = perf_counter()
        analysis = analyse(self.canonical(), ignore, allow_io)
        groups = find_groups(analysis)
        self.note_time("analyse", start)
        return analysis, groups

    def take_out(
        self,
        analysis: Analysis,
        groups: list[Group],
        chosen: list[Group],
        keeps: dict[Dim, Keep],
        *,
        blocks: tuple[str, ...] = (),
        changed: frozenset[str] = frozenset(),
    ) -> None:
        """Remove channels of the model as it is now; see `Removal`.

        Where nothing goes, the model stays what it is, and that is noted as well.
        """
        if keeps and any(removal.permuted for removal in self.removals):
            raise UsageError(
                "channels cannot be removed after they were permuted",
                why="a plan says which indices of the original weights stay, in their order",
                hint="put permute-channels behind all passes that remove channels",
            )
        start = perf_counter()
        pruned = remove(analysis, keeps)
        self.note_time("remove", start)
        removal = Removal(analysis, groups, chosen, keeps, pruned, blocks=blocks, changed=changed)
        self.removals.append(removal)
        if keeps:
            self.model = pruned

    def note_time(self, part: str, start: float) -> None:
        """Add the time since `start` to a part."""
        self.seconds[part] = self.seconds.get(part, 0.0) + perf_counter() - start


@runtime_checkable
class Pass(Protocol):
    """A pass: a frozen dataclass whose fields are its options."""

    name: ClassVar[str]

    def run(self, work: Work) -> PassReport:
        """Change ``work.model`` and say what was done and what was refused."""
        ...
