"""Why weights stay as they are: by nature, by option, or for the convenience of the compiler."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from onnxprune.axes import Dim
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.groups import DEFAULT_KINDS, Group
from onnxprune.passes.work import Removal

NATURE, OPTION, CONVENIENCE = "nature", "option", "convenience"

_TRUE = (
    r"graph (in|out)put",
    r"spatial or kernel axis",
    r"resized axis",
    r"padding",
    r"repeats of Tile",
    r"interleaved slices",
    r"\w+: a list of values",
    r"an index along this axis is a value at run time",
    r"the index of an extreme value becomes a value",
    r"looked up by constant indices",
    r"one update for each index",
    r"\w+: one iteration for each index",
    r"(gates|directions) of a recurrent operator",
    r"groups between which channels are shuffled",
)
"""Reasons that lie in what a model computes. Any other one is held to be convenience, until someone
has looked at it and put it here."""
_BY_NATURE = re.compile("|".join(_TRUE))
_UNUSED = "only constants carry it"
_ALONE = "cut into single indices: of one there is none to choose"
"""Every ratio leaves at least one index of a group, so that a group of one is never pruned."""
_BORDER = re.compile(r"(graph (?:in|out)put) .*")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why parameters are in weights that no offered group touches.

    Attributes:
        reason: in words.
        sort: `NATURE` where the model could not be otherwise, `OPTION` where an option of the
            user's would reach them, `CONVENIENCE` where the compiler might know more.
        parameters: how many.
    """

    reason: str
    sort: str
    parameters: int


class Blocks:
    """What blocks the leaves of one model.

    Of a leaf that is blocked for several reasons one counts: the first that lies in its nature, for
    then no signature would free it, otherwise the first.
    """

    def __init__(self, analysis: Analysis) -> None:
        """Collects the causes of all blocked leaves."""
        reasons: defaultdict[Dim, list[str]] = defaultdict(list)
        for dim, block in analysis.space.blocks:
            for leaf in dim.leaves():
                reason = analysis.space.cause(block).reason
                reasons[leaf].append(_BORDER.sub(r"\1", reason))
        self._reasons = {
            leaf: next(filter(_BY_NATURE.match, found), found[0]) for leaf, found in reasons.items()
        }

    @property
    def convenient(self) -> set[Dim]:
        """Leaves that are blocked although nothing in their nature does it."""
        return {leaf for leaf in self._reasons if self.cause(leaf)[1] == CONVENIENCE}

    def cause(self, leaf: Dim) -> tuple[str, str]:
        """Returns why a leaf is blocked, and the sort of that."""
        reason = self._reasons[leaf]
        return reason, NATURE if _BY_NATURE.match(reason) else CONVENIENCE


def causes(removal: Removal, blocks: Blocks) -> list[Cause]:
    """Returns why weights that no offered group touches stay as they are, most parameters first."""
    analysis = removal.analysis
    touched = {member.weight for group in removal.chosen for member in group.members}
    groups = {group.leaf: group for group in removal.groups}
    sizes: Counter[tuple[str, str]] = Counter()
    for name in analysis.weights:
        if name not in touched:
            leaves = [leaf for dim in analysis.values[name].dims for leaf in dim.leaves()]
            size = analysis.parameters(name)
            sizes[_decisive([_cause(x, groups, blocks) for x in leaves if x.size > 1])] += size
    return [Cause(reason, sort, size) for (reason, sort), size in sizes.most_common()]


def _decisive(found: list[tuple[str, str]]) -> tuple[str, str]:
    """What would have to change first for a weight to shrink along any of its axes."""
    ranks = (CONVENIENCE, OPTION, NATURE)
    found.sort(key=lambda cause: (ranks.index(cause[1]), cause[0] == _UNUSED))
    return found[0] if found else (_ALONE, NATURE)


def _cause(leaf: Dim, groups: dict[Dim, Group], blocks: Blocks) -> tuple[str, str]:
    if leaf.block is not None:
        return blocks.cause(leaf)
    group = groups.get(leaf)
    if group is None:
        return _UNUSED, NATURE
    if group.kind in DEFAULT_KINDS:
        return "another factor of the same axis is pruned", OPTION
    return f"kind {group.kind} is off by default", OPTION
