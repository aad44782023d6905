"""Policies: what a candidate must hold to, as a TOML file says it.

    schema = 1

    [equivalence]
    plan = "plan.json"

    [data.test]
    source = "test.npz"
    labels = "label"

    [[metric]]
    name = "top1"
    data = "test"
    max_drop = 0.01

    [[speed]]
    provider = "cpu"
    min_speedup = 1.2

`rules.py` has a class for each table, with a field for each key. Paths are relative to the file. A
key that there is not is an error: a limit that is misspelt would never be checked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from onnxprune.data.user_code import is_function_name
from onnxprune.errors import UsageError, suggestion
from onnxprune.gate.rules import (
    BaselineRule,
    CostRule,
    DataRule,
    EquivalenceRule,
    FidelityRule,
    MetricRule,
    SpeedRule,
    StructureRule,
)
from onnxprune.toml import (
    placed,
    read,
    read_document,
    refuse_unknown,
    shape_of,
    table_of,
    tables_of,
    typed,
)
from onnxprune.verify.evaluation import metric_of

SCHEMA = 1
"""Version of the policy format."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy file.

    Attributes:
        file: where it was read; "" of a policy that is no file.
        folder: what paths are relative to.
        sha256: hash of the file; "" of a policy that is none.
        original: the model before; the command line may name another one.
        candidate: the model to judge, likewise.
        seed: of random inputs, and of the drawing of samples.
        input_shapes: shapes of dynamic inputs, by name.
        equivalence: the plan that the proof is about; None where none is asked for.
        structure: what the candidate's file must hold and keep, likewise.
        cost: what the candidate may cost, likewise.
        data: the data sets, by the names that other rules call them.
        fidelity: how close outputs must be.
        metric: how good the outputs must be.
        speed: how fast it must be.
        baseline: the last release, than which nothing may be worse; None where there is none.
    """

    file: str = ""
    folder: Path = Path()
    sha256: str = ""
    original: str = ""
    candidate: str = ""
    seed: int = 0
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    equivalence: EquivalenceRule | None = None
    structure: StructureRule | None = None
    cost: CostRule | None = None
    data: Mapping[str, DataRule] = field(default_factory=dict[str, DataRule])
    fidelity: tuple[FidelityRule, ...] = ()
    metric: tuple[MetricRule, ...] = ()
    speed: tuple[SpeedRule, ...] = ()
    baseline: BaselineRule | None = None

    def __post_init__(self) -> None:
        """Check that what is named is there, and that something is asked for."""
        rules = (self.equivalence, self.structure, self.cost)
        if not (any(rules) or self.fidelity or self.metric or self.speed):
            raise UsageError(
                "the policy asks for nothing",
                hint=f"write {', '.join(f'[{name}]' for name in (*_TABLES, *_LISTS))}",
            )
        named = [("equivalence", self.equivalence.data)] if self.equivalence else []
        named += [("fidelity", rule.data) for rule in self.fidelity]
        named += [("metric", rule.data) for rule in self.metric]
        for where, name in named:
            if name and name not in self.data:
                raise UsageError(
                    f"there is no data set {name!r}",
                    where=where,
                    hint=suggestion(name, self.data) or f"describe it: [data.{name}]",
                )
        for rule in self.metric:
            if metric_of(rule.name).needs_labels and not self.data[rule.data].labels:
                hint = f'name the array that holds them: labels = "…" in [data.{rule.data}]'
                raise UsageError(f"metric {rule.name!r} needs labels", where="metric", hint=hint)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Policy:
        """Read a policy file.

        Raises:
            UsageError: it is not there, is no TOML, or says what there is not.
        """
        document, content = read_document(Path(path), "the policy")
        folder = Path(path).absolute().parent
        made = cls.of(document, os.fspath(path), folder)
        return replace(made, file=os.fspath(path), sha256=sha256(content).hexdigest())

    @classmethod
    def of(
        cls,
        document: Mapping[str, Any],
        where: str = "policy",
        folder: Path | None = None,
    ) -> Policy:
        """Read a policy that is at hand as nested dicts and lists.

        Args:
            document: what the file would say.
            where: what to call it in messages.
            folder: what paths are relative to; the current one if None.

        Raises:
            UsageError: it says what there is not.
        """
        given = dict(document)
        if given.pop("schema", SCHEMA) != SCHEMA:
            raise UsageError(
                f"a policy of schema {document['schema']}", where=where, hint=f"write {SCHEMA}"
            )
        made: dict[str, Any] = {"folder": folder or Path.cwd()}
        allowed = {each.name for each in fields(cls)} - {"file", "folder", "sha256"}
        refuse_unknown(given, allowed, where)
        for name, value in given.items():
            place = f"{where}, {name}"
            if name in _TABLES:
                made[name] = read(_TABLES[name], value, place)
            elif name in _LISTS:
                numbered = enumerate(tables_of(value, name, place), 1)
                kind = _LISTS[name]
                made[name] = tuple([read(kind, entry, f"{place} {n}") for n, entry in numbered])
            elif name == "data":
                sets = table_of(value, place)
                made[name] = {n: read(DataRule, v, f"{place}.{n}") for n, v in sets.items()}
            elif name == "input_shapes":
                made[name] = {n: shape_of(v, place) for n, v in table_of(value, place).items()}
            else:
                made[name] = typed(value, int if name == "seed" else str, f"{place}")
        try:
            return cls(**made)
        except UsageError as error:
            raise placed(error, where) from error

    def path(self, name: str) -> Path:
        """A path of the file, relative to it."""
        return self.folder / name

    def source(self, name: str) -> str:
        """Where a data set is, for `open_data`."""
        source = self.data[name].source
        return source if is_function_name(source) else str(self.path(source))


_TABLES: Mapping[str, type[object]] = {
    "equivalence": EquivalenceRule,
    "structure": StructureRule,
    "cost": CostRule,
    "baseline": BaselineRule,
}
_LISTS: Mapping[str, type[object]] = {
    "fidelity": FidelityRule,
    "metric": MetricRule,
    "speed": SpeedRule,
}
