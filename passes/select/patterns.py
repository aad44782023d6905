"""Numbers for some groups, as ``PATTERN=NUMBER``."""

from __future__ import annotations

from collections.abc import Iterable

from onnxprune.coupling.groups import Group
from onnxprune.errors import UsageError, suggestion
from onnxprune.ir.graph import matches
from onnxprune.passes.select.targets import fraction


def ratios_of(groups: Iterable[Group], entries: Iterable[str]) -> dict[Group, float]:
    """The fraction to remove of each group that an entry names.

    Raises:
        UsageError: an entry cannot be read, is no fraction in [0, 1), or matches no group.
    """
    found = _numbers(groups, entries, "ratio", "PATTERN=R with R in [0, 1): 'head of *=0.5'")
    for entry, number in found.values():
        if not 0 <= number < 1:
            raise UsageError(f"the ratio {entry!r} is not at least 0 and less than 1")
    return {group: number for group, (_, number) in found.items()}


def minima_of(groups: Iterable[Group], entries: Iterable[str]) -> dict[Group, int]:
    """The fewest channels to keep of each group that an entry names.

    Raises:
        UsageError: an entry cannot be read, is no number from 1 on, or matches no group.
    """
    found = _numbers(groups, entries, "minimum", "PATTERN=N with N from 1 on: 'head of *=2'")
    for entry, number in found.values():
        if number < 1 or number != int(number):
            raise UsageError(f"the minimum {entry!r} is no whole number from 1 on")
    return {group: int(number) for group, (_, number) in found.items()}


def _numbers(
    groups: Iterable[Group], entries: Iterable[str], what: str, form: str
) -> dict[Group, tuple[str, float]]:
    """The entry that each group takes its number from: of several that match, the last.

    Patterns are globs over names of groups, kinds, and names of the weights that carry them.
    """
    found: dict[Group, tuple[str, float]] = {}
    offered = list(groups)
    for entry in entries:
        pattern, _, text = entry.rpartition("=")
        try:
            number = fraction(text)
        except ValueError:
            pattern, number = "", 0.0
        if not pattern:
            raise UsageError(f"{entry!r} is no {what} of groups", hint=f"write {form}")
        named = [group for group in offered if matches(_names(group), [pattern])]
        if not named:
            close = suggestion(pattern.strip("*"), (n for group in offered for n in _names(group)))
            raise UsageError(
                f"no group matches {pattern!r}",
                hint=close
                or "patterns are tried on the names of groups, on kinds and on weights; "
                "`onnxprune inspect` lists them",
            )
        found.update(dict.fromkeys(named, (entry, number)))
    return found


def _names(group: Group) -> tuple[str, ...]:
    return *group.names, *(member.weight for member in group.members)
