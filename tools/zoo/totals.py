"""All models of a zoo: what came of them together, and whether what must hold does."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from checks import check
from zoo.blocked import CONVENIENCE, NATURE, OPTION, Cause
from zoo.model import FAILED, NOTHING, PRUNED, Pruning, Row
from zoo.reach import LOST_AT_MOST, lost

TOUCHED_AT_LEAST = 0.95
MEDIAN_TOUCHED_AT_LEAST = 0.99
GAP_AT_MOST = 0.02
_WORST_SHOWN = 10

Pair = tuple[Row, Pruning]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be gone of some models at the largest ratio, uniform, with widths rounded.

    Attributes:
        pattern: over the models' names.
        share: of the parameters, in [0, 1].
    """

    pattern: str
    share: float

    def __str__(self) -> str:
        """The expectation as it is given."""
        return f"{self.pattern}={self.share:g}"

    @classmethod
    def parse(cls, text: str) -> "Expectation":
        """Reads PATTERN=SHARE.

        Raises:
            ValueError: it is something else.
        """
        pattern, _, share = text.rpartition("=")
        return cls(pattern, float(share))


def summarise(rows: Sequence[Row], expected: Sequence[Expectation]) -> dict[str, Any]:
    """Returns the totals over all models, with what must hold and whether it does."""
    pairs = [(row, pruning) for row in rows for pruning in row.prunings]
    touched = {row.name: row.touched for row in rows if row.weights}
    gaps = {_title(pair): gap(pair[1]) for pair in pairs if _is_bounded(pair[1])}
    ratios = [pruning.speed["ratio"] for _, pruning in pairs if pruning.speed]
    return {
        "models": len(rows),
        "statuses": {
            name: dict(Counter(p.status for _, p in pairs if p.name == name))
            for name in dict.fromkeys(p.name for _, p in pairs)
        },
        "touched": {
            "median": statistics.median(touched.values()) if touched else None,
            "worst": _worst(touched),
        },
        "weights": sum(row.weights for row in rows),
        "blocked": [asdict(cause) for cause in blocked(rows)],
        "gap": {"worst": _worst(gaps, largest=True)},
        "speed": {
            "measured": len(ratios),
            "median_ratio": statistics.median(ratios) if ratios else None,
            "realised": {
                name: statistics.geometric_mean(shares) for name, shares in _realised(pairs).items()
            },
            "slower": [_title(pair) for pair in pairs if pair[1].speed.get("verdict") == "slower"],
            "faster": sum(pruning.speed.get("verdict") == "faster" for _, pruning in pairs),
        },
        "checks": list(_checks(rows, pairs, expected)),
    }


def gap(pruning: Pruning) -> float:
    """Returns the share of the parameters between the bound and what widths lose unrounded."""
    return pruning.shares.bound - pruning.shares.exact if pruning.shares else 0.0


def is_true(pair: Pair) -> bool:
    """Returns whether a model was pruned with proof, or all of it is blocked by nature."""
    row, pruning = pair
    if pruning.status == NOTHING:
        return not row.touched and not row.share(CONVENIENCE, OPTION)
    return pruning.status == PRUNED


def blocked(rows: Sequence[Row]) -> list[Cause]:
    """Returns why weights of all models stay as they are, most parameters first."""
    sizes: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for cause in row.causes:
            sizes[cause.reason, cause.sort] += cause.parameters
    return [Cause(reason, sort, size) for (reason, sort), size in sizes.most_common()]


def _realised(pairs: Sequence[Pair]) -> dict[str, list[float]]:
    """Latency that is left over multiply-accumulates that are, by ratio and scope: 1 is ideal."""
    found: dict[str, list[float]] = {}
    for _, pruning in pairs:
        if pruning.speed and pruning.macs:
            left = 1 / pruning.speed["ratio"] / pruning.macs
            found.setdefault(pruning.name, []).append(left)
    return found


def _title(pair: Pair) -> str:
    return f"{pair[0].name}, {pair[1].name}"


def _is_bounded(pruning: Pruning) -> bool:
    """The bound is that of uniform pruning."""
    return pruning.scope == "uniform" and pruning.shares is not None


def _worst(values: dict[str, float], largest: bool = False) -> dict[str, float]:
    ranked = sorted(values.items(), key=lambda item: item[1], reverse=largest)
    return dict(ranked[:_WORST_SHOWN])


def _checks(
    rows: Sequence[Row], pairs: Sequence[Pair], expected: Sequence[Expectation]
) -> Iterator[dict[str, Any]]:
    """What must hold; whatever rests on a clock does not decide the exit code."""
    known = [row for row in rows if row.weights]
    failed = [_title(pair) for pair in pairs if pair[1].status == FAILED]
    yield check(f"no model {FAILED}", failed)
    untrue = [_title(pair) for pair in pairs if not is_true(pair)]
    yield check("each is pruned with equivalence proven, or blocked by nature", untrue)
    median = statistics.median(row.touched for row in known) if known else 0.0
    yield check(
        f"median over models at least {MEDIAN_TOUCHED_AT_LEAST:.0%} of the parameters in weights "
        f"that a group touches: {median:.2%}",
        [] if median >= MEDIAN_TOUCHED_AT_LEAST else ["the median"],
    )
    least = TOUCHED_AT_LEAST
    yield check(
        f"each at least {least:.0%}, but for what is blocked by nature or by option",
        [row.name for row in known if row.touched + row.share(NATURE, OPTION) < least],
    )
    yield check(
        "nothing is blocked for convenience", [row.name for row in known if row.share(CONVENIENCE)]
    )
    yield check(
        f"what uniform pruning removes before rounding is within {GAP_AT_MOST:.0%} of the bound",
        [_title(p) for p in pairs if _is_bounded(p[1]) and gap(p[1]) > GAP_AT_MOST],
    )
    variants = [row for row in rows if row.reach]
    if variants:
        yield check(
            f"of each variant as much can be pruned as of its original, less {LOST_AT_MOST:.0%}",
            [row.name for row in variants if lost(*row.reach) > LOST_AT_MOST],
        )
    for expectation in expected:
        yield check(
            f"of {expectation.pattern} at least {expectation.share:.0%} is gone, uniform",
            [
                _title(pair)
                for pair in _concerned(pairs, expectation.pattern)
                if pair[1].removed < expectation.share
            ],
        )
    slower = [_title(pair) for pair in pairs if pair[1].speed.get("verdict") == "slower"]
    if any(pruning.speed for _, pruning in pairs):
        yield check("none is slower beyond noise", slower, required=False)


def _concerned(pairs: Sequence[Pair], pattern: str) -> list[Pair]:
    """The models of these names, at the largest ratio."""
    largest = max(pruning.ratio for _, pruning in pairs)
    return [
        (row, pruning)
        for row, pruning in pairs
        if fnmatchcase(row.name, pattern)
        and pruning.scope == "uniform"
        and pruning.ratio == largest
    ]
