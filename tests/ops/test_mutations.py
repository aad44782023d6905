"""A hundred signatures with one mistake each, drawn at random: the laws find every one.

Mistakes are made in the lines: two factors of a product or two axes of an operand exchanged, an
operand left out of what others are coupled with, a mark of what is reduced left out; and beside
them: an attribute that does not follow, no masked form, no rewrite, no zero points. A mistake that
changes nothing in any case of its operator is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from onnxprune.errors import OnnxPruneError
from onnxprune.ops import operator as operators
from onnxprune.ops.notation import Signature, parse
from onnxprune.ops.operator import Operator
from onnxprune.ops.registry import all_operators
from tests.ops.bench import Bench, BrokenLawError, build, restricted_axes
from tests.ops.case import Case
from tests.ops.catalogue import CASES, operator_of
from tests.ops.laws import check, draw_keeps
from tests.versions import NEWEST_RUNTIME, needs_runtime

COUNT = 100
_OPERAND = re.compile(r"(\w+)\[([^\]]*)\]")
_PRODUCT = re.compile(r"\(([^()+]+)\)")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in what is known of an operator.

    Attributes:
        operator: what is right.
        part: what is left out beside the line, or "" if the line is wrong.
        kind: what is wrong with the line.
        place: which of the places in the line that it may be wrong at.
    """

    operator: Operator
    part: str = ""
    kind: str = ""
    place: int = 0

    def __str__(self) -> str:
        """In words, as a test's name."""
        wrong = f"without {self.part}" if self.part else f"{self.kind} {self.place}"
        return f"{self.operator.name}-{self.operator.since} {wrong}"


def mistakes() -> Iterator[Mistake]:
    """All that can be made in lines, and by leaving out what stands beside them."""
    for operator in all_operators():
        for part in ("attributes", "masked", "rewrite"):
            if getattr(operator, part):
                yield Mistake(operator, part)
        if operator.macs and any(not encoding.operand for encoding in operator.encodings):
            yield Mistake(operator, "zero points")
        for kind in KINDS if operator.text is not None else ():
            for place in range(4):
                yield Mistake(operator, "", kind, place)


def _exchanged_factors(line: str) -> list[str]:
    found: list[str] = []
    for match in _PRODUCT.finditer(line):
        first, *rest = match[1].split()
        if rest:
            found.append(
                f"{line[: match.start(1)]}{' '.join([*rest, first])}{line[match.end(1) :]}"
            )
    return found


def _exchanged_axes(line: str) -> list[str]:
    found: list[str] = []
    for match in _OPERAND.finditer(line):
        axes = [axis.strip() for axis in match[2].split(",")]
        if len(axes) > 1:
            axes = [*axes[:-2], axes[-1], axes[-2]]
            found.append(f"{line[: match.start(2)]}{', '.join(axes)}{line[match.end(2) :]}")
    return found


def _left_out(line: str) -> list[str]:
    """All but the first operand, one by one, coupled with nothing."""
    found: list[str] = []
    for match in list(_OPERAND.finditer(line))[1:]:
        alone = re.sub(r"[a-z]\w*", lambda letter: f"{letter[0]}_alone", match[2])
        found.append(f"{line[: match.start(2)]}{alone}{line[match.end(2) :]}")
    return found


def _unmarked(line: str) -> list[str]:
    return [f"{line[: m.start()]}{line[m.end() :]}" for m in re.finditer("!", line)]


WITHOUT: dict[str, Callable[[Operator], Operator]] = {
    "attributes": lambda operator: replace(operator, attributes={}),
    "masked": lambda operator: replace(operator, masked=""),
    "rewrite": lambda operator: replace(operator, rewrite=None),
    "zero points": lambda operator: replace(operator, encodings=()),
}
KINDS = {
    "factors exchanged": _exchanged_factors,
    "axes exchanged": _exchanged_axes,
    "operand left out": _left_out,
    "mark left out": _unmarked,
}


class AbsentError(Exception):
    """The line of a case has no place for the mistake."""


def built(mistake: Mistake, case: Case, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A case as the mistake has it."""
    if mistake.part:
        return build(case, WITHOUT[mistake.part](mistake.operator))

    def wrong(line: str) -> Signature:
        lines = KINDS[mistake.kind](line)
        if mistake.place >= len(lines):
            raise AbsentError
        return parse(lines[mistake.place])

    with monkeypatch.context() as patch:
        patch.setattr(operators, "parse", wrong)
        return build(case)


def picture(bench: Bench) -> tuple[object, ...]:
    """All that a signature says: trees of what is free, and its roles.

    Of a constant of one number, nobody can tell which elements are left.
    """
    numbers: dict[object, int] = {}
    axes: list[list[int]] = []
    for value in bench.analysis.values.values():
        constant = bench.model.constants.get(value.name)
        uniform = constant is not None and len(np.unique(constant.numpy().astype(str))) == 1
        for dim in value.dims:
            leaves = [
                numbers.setdefault(x, len(numbers)) if x.is_free else -1 for x in dim.leaves()
            ]
            axes.append(sorted(leaves) if uniform else leaves)
    roles = {
        (role.name, role.operand, numbers[leaf])
        for placed in bench.analysis.placed
        for role in placed.site.roles
        for leaf in role.dim.leaves()
        if role.name in ("reduced", "contracted", "handed") and leaf in numbers
    }
    return (axes, roles)


def cases_of(operator: Operator) -> list[Case]:
    return [case for case in CASES if case.is_known and operator_of(case) is operator]


def verdict(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> bool | None:
    """Whether a mistake is found; None if it is none."""
    cases = cases_of(mistake.operator)
    differs = bool(mistake.part and cases)
    for case in cases:
        try:
            bench = built(mistake, case, monkeypatch)
        except AbsentError:
            continue
        except (OnnxPruneError, BrokenLawError, ValueError, KeyError):
            return True
        if not mistake.part and picture(bench) == picture(build(case)):
            continue
        differs = True
        if restricted_axes(bench) != (set(case.blocked), set(case.partly)):
            return True
        try:
            for keeps in draw_keeps(bench):
                check(bench, keeps)
        except (BrokenLawError, OnnxPruneError, ValueError, AssertionError, IndexError):
            return True
    return False if differs else None


@needs_runtime(NEWEST_RUNTIME)  # older ones crash on some mistakes
def test_each_of_a_hundred_mistakes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list(mistakes())
    tried, missed = 0, []
    for index in np.random.default_rng(0).permutation(len(made)):
        found = verdict(made[index], monkeypatch)
        tried += found is not None
        if found is False:
            missed.append(str(made[index]))
        if tried == COUNT:
            break
    assert tried == COUNT
    assert not missed
