"""The table of operators in `onnxprune/ops/README.md`; `python -m tests.ops.table` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from onnxprune.ops.opaque import OPAQUE
from onnxprune.ops.operator import Operator
from onnxprune.ops.registry import FAMILIES
from tests.ops.bench import build
from tests.ops.case import Case
from tests.ops.catalogue import CASES, operator_of

README = Path(__file__).parents[2] / "onnxprune/ops/README.md"
BEGIN, END = "<!-- operators: python -m tests.ops.table -->\n", "<!-- end of operators -->\n"
_HEADER = ("| Operator | Signature, or what stands for it |", "|---|---|")


def table() -> str:
    """All operators by family: those with one line together."""
    rows: dict[str, list[str]] = {}
    examples, spelt_out = _examples(), _spelt_out()
    for family in FAMILIES:
        for operator in family.OPERATORS:
            rows.setdefault(_said(operator, examples), []).append(
                _title(operator) + "\\*" * (id(operator) in spelt_out)
            )
    lines = [f"| {', '.join(dict.fromkeys(names))} | {said} |" for said, names in rows.items()]
    return "\n".join((*_HEADER, *lines, ""))


def written(readme: str) -> str:
    """The page with the table as it should be."""
    head, _, rest = readme.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def _title(operator: Operator) -> str:
    domain = f"{operator.domain}." if operator.domain else ""
    since = f"-{operator.since}" if operator.since > 1 else ""
    return f"{domain}{operator.name}{since}"


def _said(operator: Operator, examples: dict[int, Case]) -> str:
    """The line; of a function that writes it, what it writes for the first case of the tests."""
    reason = OPAQUE.get((operator.domain, operator.name))
    if reason is not None:
        return f"opaque: {reason}"
    if isinstance(operator.text, str):
        return f"`{operator.text}`"
    if operator.text is None:
        return (operator.relate.__doc__ or "").partition("\n")[0]
    case = examples[id(operator)]
    site = next(
        placed.site
        for placed in build(case).analysis.placed
        if placed.node.op_type == operator.name
    )
    shapes = ", ".join("-" if x is None else str(list(x.shape)) for x in case.operands)
    line = re.sub(r"\s+", " ", operator.text(site))
    return f"`{line}`, for example, of {shapes}"


def _examples() -> dict[int, Case]:
    """The first case of each operator."""
    found: dict[int, Case] = {}
    for case in CASES:
        found.setdefault(id(operator_of(case)), case)
    return found


def _spelt_out() -> set[int]:
    """The operators that run as what a case says they mean, and never themselves."""
    found = {(id(operator_of(case)), bool(case.means)) for case in CASES}
    return {operator for operator, means in found if means and (operator, False) not in found}


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
