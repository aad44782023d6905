"""Plans: which indices of which original weights stay.

    {"schema": 1, "model_sha256": "…", "initializers": {NAME: {AXIS: [kept, ascending]}},
     "steps": […], "allow_io": [NAME:AXIS], "repaired": {NAME: sha256}, "settings": {…}}

`steps`, where there are several, lists what each removal keeps of what those before it left, for
what one leaves may be coupled in other ways. `allow_io` lists the axes of graph inputs and outputs
that may be pruned. Axes that keep everything are left out. `repaired` lists the weights of the
pruned model that have new elements, fitted anew or changed so that nothing is lost, with their
hashes; a plan does not hold these. Where an axis keeps different indices for each block of another
one: ``{AXIS: {"by": AXIS2, "blocks": [[…], …]}}``. Names are those of the original's initializers
(of a `Constant` node: of its output). Where the exporter merged vectors that only happened to be
equal, the further uses are called ``NAME::2``, ``NAME::3``, … in graph order. Where bodies of
control flow use one name for different weights, those of all but the first are called
``NAME::BODY``, as in ``w::y.else_branch`` in the branch of the If that makes ``y``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from onnxprune.axes import (
    Keeps,
    axis_mask,
    is_touched,
    ragged_rows,
)
from onnxprune.coupling.axis_plan import AxisPlan, Blocks, from_json, to_json
from onnxprune.coupling.state_dict import slice_state_dict
from onnxprune.errors import PlanError
from onnxprune.files import write_text
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import Tensor
from onnxprune.notebook import html_table
from onnxprune.ops.site import Value

SCHEMA = 1
"""Version of the plan format."""


KeptAxes = dict[str, dict[int, AxisPlan]]
"""What is kept, by initializer and axis."""


@dataclass(slots=True, repr=False)
class Plan:
    """What stays of each original weight.

    Attributes:
        model_sha256: hash of the model that the plan was made for.
        initializers: for each original initializer and axis, what is kept.
        settings: how it was made.
        allow_io: axes of graph inputs and outputs that may be pruned, as ``NAME:AXIS``.
        steps: the same for each removal, of what is left before it; empty where there is but one.
        repaired: sha256 of the elements, by name, of weights that have new ones.
        original: that model, where it is at hand; it helps to find weights by their values.
    """

    model_sha256: str
    initializers: KeptAxes = field(default_factory=dict[str, dict[int, AxisPlan]])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    allow_io: tuple[str, ...] = ()
    repaired: dict[str, str] = field(default_factory=dict[str, str])
    steps: tuple[KeptAxes, ...] = ()
    original: Model | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """What a textual pipeline shows of it."""
        return f"<made for {self.model_sha256[:12]}>"

    def __repr__(self) -> str:
        """How much it touches, in one line."""
        weights, axes = len(self.initializers), sum(map(len, self.initializers.values()))
        return (
            f"<Plan for {self.model_sha256[:12]}: {weights:,} weights cut along {axes:,} axes,"
            f" {len(self.repaired):,} repaired>"
        )

    def _repr_html_(self) -> str:
        """How much stays of each axis, as notebooks show it."""
        rows = (
            (name, axis, _kept_text(plan))
            for name, axes in self.initializers.items()
            for axis, plan in axes.items()
        )
        return html_table(repr(self).strip("<>"), ("weight", "axis", "indices kept"), rows)

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON document."""
        return {
            "schema": SCHEMA,
            "model_sha256": self.model_sha256,
            "initializers": _to_json(self.initializers),
            **({"steps": [_to_json(step) for step in self.steps]} if self.steps else {}),
            "allow_io": list(self.allow_io),
            "repaired": self.repaired,
            "settings": self.settings,
        }

    @classmethod
    def from_json(cls, document: Any, where: str = "plan") -> Plan:
        """Read a JSON document.

        Raises:
            PlanError: it is no plan, or one of another schema.
        """
        fields = cast("dict[str, Any]", document if isinstance(document, dict) else {})
        if fields.get("schema") != SCHEMA:
            raise PlanError(
                "this is no plan of schema 1", where=where, hint="make one with --plan PLAN.json"
            )
        try:
            opened = tuple(str(entry) for entry in fields.get("allow_io", ()))
            repaired = {str(k): str(v) for k, v in fields.get("repaired", {}).items()}
            return cls(
                str(fields["model_sha256"]),
                _from_json(fields["initializers"]),
                dict(fields["settings"]),
                opened,
                repaired,
                tuple(_from_json(step) for step in fields.get("steps", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError("the plan is damaged", where=where, why=repr(error)) from error

    def removals(self) -> list[Plan]:
        """A plan for each removal, in order."""
        return [replace(self, initializers=step, steps=()) for step in self.steps] or [self]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan from a file.

        Raises:
            PlanError: the file cannot be read or holds no plan.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError(
                "the plan cannot be read",
                where=str(path),
                why=str(error),
                hint="a plan is a JSON file, as --plan writes it",
            ) from error
        except json.JSONDecodeError as error:
            raise PlanError("the plan is no JSON", where=str(path), why=str(error)) from error
        return cls.from_json(document, str(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file; an old one stays intact if that fails.

        Raises:
            WriteError: the file cannot be written.
        """
        write_text(Path(path), json.dumps(self.to_json(), indent=1) + "\n")

    def apply_to_state_dict(
        self, state_dict: Mapping[str, Any], original: Model | None = None, *, strict: bool = True
    ) -> dict[str, Any]:
        """Slice a framework's weights; see `onnxprune.coupling.state_dict.slice_state_dict`."""
        source = original if original is not None else self.original
        return slice_state_dict(self.initializers, state_dict, source, strict=strict)


def _kept_text(plan: AxisPlan) -> str:
    if isinstance(plan, Blocks):
        return f"{sum(map(len, plan.kept)):,} in {len(plan.kept):,} blocks of axis {plan.by}"
    return f"{len(plan):,}"


def _to_json(kept: KeptAxes) -> dict[str, dict[str, Any]]:
    return {
        name: {str(axis): to_json(plan) for axis, plan in axes.items()}
        for name, axes in kept.items()
    }


def _from_json(entries: dict[str, dict[str, Any]]) -> KeptAxes:
    return {
        str(name): {int(axis): from_json(kept) for axis, kept in axes.items()}
        for name, axes in entries.items()
    }


def axis_plans(value: Value, keeps: Keeps) -> dict[int, AxisPlan]:
    """What a removal keeps on each axis of a weight; axes that keep all are left out."""
    ragged = ragged_rows(value.dims, keeps)
    plans: dict[int, AxisPlan] = {}
    for axis, dim in enumerate(value.dims):
        if axis in ragged:
            rows = ragged[axis]
            plans[axis] = Blocks(rows.by, tuple(_indices(row) for row in rows.masks))
        elif is_touched(dim, keeps):
            plans[axis] = _indices(axis_mask(dim, keeps))
    return plans


def hash_of(tensor: Tensor) -> str:
    """The hash that a plan has of the elements of a weight that was fitted anew."""
    return sha256(tensor.raw()).hexdigest()


def _indices(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(index) for index in np.flatnonzero(mask))
