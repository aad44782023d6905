"""What came of the backend cases, one by one and together."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.pruning import CANNOT_TELL, FAILED, PRUNINGS, REFUSED, Pruning
from backend.same import OTHERWISE, SAMENESS, Sameness

WHOLE, FED, HELD = "nothing removed", "all inputs fed", "one input fed"
"""What is done with a case: it is saved as it is, or pruned in one of two networks."""
_OUTCOMES = {WHOLE: SAMENESS, FED: PRUNINGS, HELD: PRUNINGS}
_TOLD = (FAILED, REFUSED, CANNOT_TELL, OTHERWISE)
"""Outcomes that the report names the cases of."""


@dataclass(slots=True)
class Row:
    """What came of one case.

    Attributes:
        kind: kind of the case.
        name: its name.
        same: what came of it when nothing was removed.
        prunings: what came of it in the networks that it was put into, by `FED` and `HELD`.
    """

    kind: str
    name: str
    same: Sameness
    prunings: dict[str, Pruning] = field(default_factory=dict[str, Pruning])

    @property
    def parts(self) -> dict[str, Sameness | Pruning]:
        """Everything that was done with it."""
        return {WHOLE: self.same, **self.prunings}


def row_lines(row: Row) -> Iterator[str]:
    """A line for whatever needs a word."""
    for title, part in row.parts.items():
        if part.outcome in _TOLD:
            yield f"{part.outcome:<22} {row.kind} {row.name}, {title}: {part.why}"


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """How many cases came out how, and why axes are blocked."""
    outcomes = {title: dict.fromkeys(kinds, 0) for title, kinds in _OUTCOMES.items()}
    proven, blocked = Counter[str](), Counter[str]()
    for row in rows:
        for title, part in row.parts.items():
            outcomes[title][part.outcome] += 1
        for title, pruning in row.prunings.items():
            proven[title] += pruning.proven
            blocked.update(pruning.blocked)
    return {
        "cases": len(rows),
        "outcomes": outcomes,
        "axes proven": dict(proven),
        "axes blocked": dict(blocked.most_common()),
        "failed": sum(counts[FAILED] for counts in outcomes.values()),
    }


def total_lines(totals: Mapping[str, Any]) -> Iterator[str]:
    """The totals in lines."""
    yield f"\n{totals['cases']} cases"
    for title, counts in totals["outcomes"].items():
        shown = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        proven = totals["axes proven"].get(title)
        axes = "" if proven is None else f" ({proven} axes proven)"
        yield f"  {title:<16} {shown}{axes}"
    yield "\naxes of inputs and outputs that are blocked, and why:"
    for reason, count in totals["axes blocked"].items():
        yield f"  {count:>6}  {reason}"
    yield f"\n{totals['failed']} FAILED"
