"""The mutation report in lines: each mutant, the kinds together, and what must hold."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from checks import check, check_lines
from mutation.study import (
    CANNOT_TELL,
    CAUGHT,
    EQUIVALENT,
    FAILED,
    MISSED,
    NOT_MADE,
    OUTCOMES,
    PASSED,
    STOPPED,
    WITHIN,
    Mutant,
    Sound,
)

HEADER = f"""\
caught: verify calls it wrong; MISSED: it passes, and a float64 run of the whole network differs by
  more than verify says that it tolerates;
within tolerance: it passes and differs by less;
equivalent: it passes and differs by less than 1e-9 of each tensor's size;
cannot tell: verify says so, whether or not it differs;
invalid: it does not load, or does not run; STOPPED: verify ends with an error.

{"model":<34} {"outcome":<16} {"max dev":>8}  kind: place"""
KINDS_AT_LEAST = 20


def mutant_lines(mutants: Iterable[Mutant]) -> Iterator[str]:
    """Returns a line for each mutant, and below it what speaks for itself if it was not caught."""
    for mutant in mutants:
        yield (
            f"{mutant.model:<34} {mutant.outcome:<16} {mutant.max_rel:>8.1e}  "
            f"{mutant.kind}: {mutant.where}"
        )
        if mutant.outcome not in (CAUGHT, EQUIVALENT):
            yield f"{'':<34} -- {difference_of(mutant) or mutant.why}"


def difference_of(mutant: Mutant) -> str:
    """What the arbiter found, in words."""
    found = mutant.difference
    if not found:
        return ""
    verify = f"; verify: {mutant.why}" if mutant.outcome == CANNOT_TELL else ""
    if not found["tensor"]:
        return f"no difference{verify}"
    return (
        f"{found['tensor']} differs by {found['variation']:.2g} of its variation, "
        f"{found['size']:.2g} of its size, {found['bounds']:.2g} times what is tolerated "
        f"({found['inputs']}, {found['precision']}){verify}"
    )


def sound_line(one: Sound) -> str:
    """A sound pruning."""
    setting = ", ".join(f"{name} {value}" for name, value in asdict(one.setting).items())
    why = f" -- {one.why}" if one.why else ""
    return f"{one.model:<34} {one.verdict:<16} {one.max_rel:>8.1e}  sound: {setting}{why}"


def summarise(
    mutants: Sequence[Mutant], sound: Sequence[Sound], kinds: Sequence[str]
) -> dict[str, Any]:
    """Returns the totals, with what must hold and whether it does."""
    passed = [m for m in mutants if m.outcome in (WITHIN, MISSED)]
    within = max(
        (m for m in mutants if m.outcome == WITHIN),
        key=lambda m: m.difference["bounds"],
        default=None,
    )
    return {
        "outcomes": {name: sum(m.outcome == name for m in mutants) for name in OUTCOMES},
        "kinds": {
            kind: dict(Counter(m.outcome for m in mutants if m.kind == kind)) for kind in kinds
        },
        "models": {
            model: dict(Counter(m.outcome for m in mutants if m.model == model))
            for model in dict.fromkeys(m.model for m in mutants)
        },
        "passed": len(passed),
        "largest_within": asdict(within) if within else None,
        "in_float32": sum(m.difference.get("precision") == "float32" for m in mutants),
        "sound": {
            name: sum(s.verdict == name for s in sound)
            for name in (PASSED, "cannot tell", FAILED, NOT_MADE)
        },
        "sound_max_rel": max((s.max_rel for s in sound if s.verdict == PASSED), default=0.0),
        "checks": list(_checks(mutants, sound, len(kinds))),
    }


def total_lines(
    mutants: Sequence[Mutant], sound: Sequence[Sound], totals: dict[str, Any]
) -> Iterator[str]:
    """Returns what came of all together, and what must hold."""
    for title, part in (("kind", totals["kinds"]), ("model", totals["models"])):
        if mutants:
            yield f"\n{title:<56} {' '.join(f'{name:>11.11}' for name in ('mutants', *OUTCOMES))}"
            yield from (_row(name, counts) for name, counts in part.items())
            yield _row("all", totals["outcomes"])
    for outcome in (MISSED, STOPPED, CANNOT_TELL, WITHIN):
        found = [m for m in mutants if m.outcome == outcome]
        if found:
            yield f"\n{outcome}, {len(found)}:"
            yield from (f"  {line}" for line in mutant_lines(found))
    if totals["largest_within"]:
        largest = difference_of(Mutant(**totals["largest_within"]))
        yield f"\nthe largest difference that passed as tolerated: {largest}"
    if totals["in_float32"]:
        yield f"\n{totals['in_float32']} were judged in float32: the reference cannot run them"
    if sound:
        counts = ", ".join(f"{count} {name}" for name, count in totals["sound"].items())
        models = len({s.model for s in sound if s.verdict != NOT_MADE})
        yield f"\nsound prunings of {models} models: {counts}"
        yield f"their largest deviation: {totals['sound_max_rel']:.2g} of a tensor's variation"
    yield from check_lines(totals["checks"])


def _row(name: str, counts: dict[str, int]) -> str:
    cells = (str(counts.get(outcome) or "") for outcome in OUTCOMES)
    return f"{name:<56} {sum(counts.values()):>11} {' '.join(f'{n:>11}' for n in cells)}".rstrip()


def _checks(
    mutants: Sequence[Mutant], sound: Sequence[Sound], asked: int
) -> Iterator[dict[str, Any]]:
    if mutants:
        caught, least = {m.kind for m in mutants if m.outcome == CAUGHT}, min(asked, KINDS_AT_LEAST)
        yield check(
            f"at least {least} kinds of faults are caught: {len(caught)}",
            [] if len(caught) >= least else ["the number of kinds"],
        )
        yield check(
            "each mutant that changes the computation by more than is tolerated is caught",
            [f"{m.model}, {m.kind}" for m in mutants if m.outcome == MISSED],
        )
        yield check(
            "verify ends with a verdict",
            [f"{m.model}, {m.kind}" for m in mutants if m.outcome == STOPPED],
        )
    if sound:
        yield check(
            "no sound pruning is called wrong", [s.model for s in sound if s.verdict == FAILED]
        )
