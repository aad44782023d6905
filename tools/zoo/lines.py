"""The report of a zoo in lines of 160 columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from checks import check_lines
from zoo.model import Pruning, Row
from zoo.reach import LOST_AT_MOST, Reach, lost, reasons_for_less
from zoo.totals import GAP_AT_MOST, TOUCHED_AT_LEAST, blocked, gap

LEGEND = """\
can be: share of the parameters in weights that an offered group touches;
gone: share removed, widths rounded to what hardware likes; exact: the same without rounding;
bound: share removed if every axis lost exactly the ratio, but for axes blocked by nature and kinds
  that are off by default. In whole indices, the nearest to the ratio: that two of three heads stay
  at 0.5 is no gap. Of rival factors of an axis, one;
max dev: largest deviation from the masked reference as a share of a tensor's variation, of the
  tensors that react to the input;
times in seconds;
speed-up: original latency / pruned latency with its interval, one thread, batch 1."""
HEADER = (
    f"{'model':<39} {'params':>7} {'can be':>6}  {'scope, ratio':<14} {'status':<11} {'gone':>6} "
    f"{'exact':>6} {'bound':>6} {'max dev':>8} {'analyse':>7} {'remove':>6} {'verify':>6}  speed-up"
)


def row_lines(row: Row) -> Iterator[str]:
    """Returns a line for each pruning of a model, and one below where there is a reason to it."""
    model = f"{row.name:<39} {row.parameters / 1e6:>6.2f}M {row.touched:>6.1%}"
    for pruning in row.prunings:
        yield f"{model}  {pruning.name:<14} {_pruning_cells(pruning)}".rstrip()
        if pruning.why:
            yield f"{'':<8}-- {pruning.why}"
    if row.reach:
        yield from _reach_lines(*row.reach)


def _reach_lines(variant: Reach, original: Reach) -> Iterator[str]:
    """What of a variant can be pruned beside what can be of its original."""
    touched, free = variant.touched - original.touched, variant.free - original.free
    too_little = lost(variant, original) > LOST_AT_MOST
    yield (
        f"{'':<8}-- original: can be {original.touched:.1%} ({_points(touched)}), free "
        f"{original.free:.1%} ({_points(free)})" + ": LESS" * too_little
    )
    if too_little:
        for why, share in reasons_for_less(variant, original):
            yield f"{'':<11}{share:>6.1%} more  {why}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"


def _pruning_cells(pruning: Pruning) -> str:
    shares, seconds, speed = pruning.shares, pruning.seconds, pruning.speed
    cells = [f"{pruning.status:<11}"]
    if shares:
        deviation = pruning.equivalence.get("max_rel_reacting", float("nan"))
        cells.append(f"{pruning.removed:>6.1%} {shares.exact:>6.1%} {shares.bound:>6.1%}")
        cells.append(f"{deviation:>8.1e} {seconds.get('analyse', 0):>7.2f}")
        cells.append(f"{seconds.get('remove', 0):>6.2f} {seconds.get('verify', 0):>6.1f} ")
    if speed:
        interval = f"[{speed['low']:.2f}, {speed['high']:.2f}]"
        cells.append(f"{speed['ratio']:.2f} {interval} {speed['verdict']}")
    return " ".join(cells)


def total_lines(rows: Sequence[Row], totals: Mapping[str, Any]) -> Iterator[str]:
    """Returns what came of all models together, and what must hold."""
    yield f"\n{totals['models']} models"
    for name, statuses in totals["statuses"].items():
        yield f"  {name:<14} {', '.join(f'{count} {status}' for status, count in statuses.items())}"
    yield from _blocked_lines(rows, totals)
    yield "\nlargest gaps between the bound and what uniform pruning removes before rounding:"
    prunings = {f"{row.name}, {p.name}": p for row in rows for p in row.prunings}
    for title, width in totals["gap"]["worst"].items():
        yield f"  {title:<52} {width:>7.2%}  {_gap_parts(prunings[title])}".rstrip()
        if width > GAP_AT_MOST and prunings[title].short:
            yield f"{'':<8}-- {'; '.join(prunings[title].short)}"
    speed = totals["speed"]
    if speed["measured"]:
        yield (
            f"\nspeed: {speed['faster']} faster, {len(speed['slower'])} slower, median ratio "
            f"{speed['median_ratio']:.2f}; intervals corrected for the number of measurements "
            "(Bonferroni)"
        )
        shares = ", ".join(f"{value:.2f} ({name})" for name, value in speed["realised"].items())
        yield (
            "latency that is left over multiply-accumulates that are, geometric mean over models "
            f"(1 is ideal): {shares}"
        )
    yield from check_lines(totals["checks"])


def _blocked_lines(rows: Sequence[Row], totals: Mapping[str, Any]) -> Iterator[str]:
    yield "\nshare of all parameters in weights that no offered group touches, and why:"
    for cause in blocked(rows):
        share = cause.parameters / max(totals["weights"], 1)
        yield f"  {share:>9.4%}  {cause.sort:<11}  {cause.reason}"
    yield f"\nmodels of which less than {TOUCHED_AT_LEAST:.0%} is in weights that a group touches:"
    for row in rows:
        if row.weights and row.touched < TOUCHED_AT_LEAST:
            yield f"  {row.name:<39} {row.touched:>7.2%}"
            for cause in row.causes:
                share = cause.parameters / row.weights
                yield f"  {'':<39} {share:>7.2%}  {cause.sort:<11}  {cause.reason}"


def _gap_parts(pruning: Pruning) -> str:
    """What a gap is made of, if it is worth a word."""
    shares = pruning.shares
    if shares is None or gap(pruning) < 1e-3:
        return ""
    convenience, left = shares.bound - shares.free, shares.free - shares.exact
    return f"{convenience:.2%} blocked for convenience, {left:.2%} free and not taken"
