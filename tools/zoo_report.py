"""Prunes every model of a folder and reports what came of it; run it as `tools/zoo_report`.

Each model is pruned in memory in a process of its own, verified against its masked reference,
saved, loaded again, run, and timed against the original. A line a model, totals last.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from zoo_model import FAILED, PRUNED, STATUSES, Row, Task, examine
from zoo_skeleton import find_models, name_of

PROVEN_AT_LEAST = 0.90
TOUCHED_AT_LEAST = 0.95
GAP_AT_MOST = 0.02
WORST_SHOWN = 10

HEADER = (
    f"{'model':<39} {'status':<11} {'params':>7} {'can be':>6} {'gone':>6} {'exact':>6} "
    f"{'bound':>6} {'max dev':>8} {'load':>5} {'analyse':>7} {'remove':>6} {'verify':>6}  speed-up"
)
LEGEND = """\
can be: share of the parameters in weights that an offered group touches; gone: share removed;
exact: share removed when widths need not be multiples; bound: share that uniform pruning could
remove if every offered group lost exactly the ratio; max dev: largest deviation from the masked
reference as a share of a tensor's variation, of the tensors that react to the input; times in
seconds; speed-up: original latency / pruned latency with its interval, one thread, batch 1."""


def main() -> int:
    """Runs the report and returns the exit code."""
    options = _options()
    paths = [p for p in find_models(options.folder) if fnmatchcase(name_of(p), options.only)]
    if not paths:
        print(f"zoo_report: no model in {options.folder} is named {options.only}", file=sys.stderr)
        return 2
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    speed = not options.no_speed and options.jobs == 1
    confidence = 1 - 0.05 / len(paths)
    tasks = [Task(path, options.ratio, options.keep, speed, confidence) for path in paths]
    print(LEGEND, HEADER, sep="\n\n", flush=True)
    rows = []
    for row in _run(tasks, options.jobs):
        rows.append(row)
        print(_line(row), flush=True)
    totals = summarise(rows, options.ratio)
    _print_totals(rows, totals)
    if options.json is not None:
        document = {"schema": 1, "totals": totals, "models": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(check["holds"] for check in totals["checks"] if check["required"]) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="zoo_report", description=__doc__.split("\n\n")[1])
    parser.add_argument("folder", type=Path, help="holds NAME.onnx.xz skeletons or NAME.onnx files")
    parser.add_argument("--ratio", type=float, default=0.3, help="fraction of channels to remove")
    parser.add_argument("--json", type=Path, help="write everything measured to this file too")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="models of these names")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time; above 1 no speed")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the pruned models there")
    parser.add_argument("--no-speed", action="store_true", help="compare no latencies")
    return parser.parse_args()


def _run(tasks: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Examines each model in a process of its own, in order."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(jobs, 1)) as pool:
        yield from pool.map(_examine_apart, tasks)


def _examine_apart(task: Task) -> Row:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            return pool.submit(examine, task).result()
        except BrokenProcessPool:
            return Row(name_of(task.path), FAILED, "the process died: a crash, or no memory left")


def _line(row: Row) -> str:
    shares, seconds = row.shares, row.seconds
    cells = [f"{row.name:<39} {row.status:<11} {row.parameters / 1e6:>6.2f}M"]
    if shares:
        cells.append(f"{shares['prunable']:>6.1%} {row.removed:>6.1%}")
        cells.append(f"{shares['before_rounding']:>6.1%} {shares['bound']:>6.1%}")
        cells.append(f"{row.equivalence.get('max_rel_reacting', float('nan')):>8.1e}")
        cells.append(f"{seconds.get('load', 0):>5.2f} {seconds.get('analyse', 0):>7.2f}")
        cells.append(f"{seconds.get('remove', 0):>6.2f} {seconds.get('verify', 0):>6.1f} ")
    if row.speed:
        s = row.speed
        cells.append(f"{s['ratio']:.2f} [{s['low']:.2f}, {s['high']:.2f}] {s['verdict']}")
    if row.why:
        cells.append(f"-- {row.why}")
    return " ".join(cells)


def summarise(rows: Sequence[Row], ratio: float) -> dict[str, Any]:
    """Returns the totals over all models, with what must hold and whether it does."""
    counts = Counter(row.status for row in rows)
    convolutional = [row for row in rows if row.convolutional and row.shares]
    weight = sum(row.parameters for row in convolutional)
    touched = sum(row.parameters * row.shares["prunable"] for row in convolutional)
    gaps = {row.name: _gap(row) for row in rows if row.shares}
    slower = [row.name for row in rows if row.speed.get("verdict") == "slower"]
    faster = [row.name for row in rows if row.speed.get("verdict") == "faster"]
    ratios = [row.speed["ratio"] for row in rows if row.speed]
    totals: dict[str, Any] = {
        "models": len(rows),
        "ratio": ratio,
        "statuses": {status: counts[status] for status in STATUSES},
        "proven": counts[PRUNED] / len(rows),
        "convolutional": {
            "models": len(convolutional),
            "touched": touched / weight if weight else None,
            "worst": _worst({row.name: row.shares["prunable"] for row in convolutional}),
        },
        "gap": {
            "worst": _worst(gaps, largest=True),
            "above_limit": sum(gap > GAP_AT_MOST for gap in gaps.values()),
        },
        "speed": {
            "measured": len(ratios),
            "faster": len(faster),
            "slower": slower,
            "median_ratio": statistics.median(ratios) if ratios else None,
        },
    }
    totals["checks"] = list(_checks(totals, counts))
    return totals


def _gap(row: Row) -> float:
    return row.shares["bound"] - row.shares["before_rounding"]


def _worst(values: dict[str, float], largest: bool = False) -> dict[str, float]:
    ranked = sorted(values.items(), key=lambda item: item[1], reverse=largest)
    return dict(ranked[:WORST_SHOWN])


def _checks(totals: dict[str, Any], counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """What must hold; whatever rests on a clock does not decide the exit code."""
    touched, gap, speed = totals["convolutional"]["touched"], totals["gap"], totals["speed"]
    yield _check(f"no model {FAILED}", counts[FAILED] == 0, f"{counts[FAILED]} did")
    proven = totals["proven"]
    yield _check(
        f"at least {PROVEN_AT_LEAST:.0%} pruned with equivalence proven",
        proven >= PROVEN_AT_LEAST,
        f"{proven:.1%}",
    )
    if touched is not None:
        yield _check(
            f"of the convolutional ones, at least {TOUCHED_AT_LEAST:.0%} of the parameters are in "
            "weights that a group touches",
            touched >= TOUCHED_AT_LEAST,
            f"{touched:.2%} of {totals['convolutional']['models']} models",
        )
    yield _check(
        f"what is removed before rounding is within {GAP_AT_MOST:.0%} of the bound",
        gap["above_limit"] == 0,
        f"{gap['above_limit']} models are not",
        required=False,
    )
    if speed["measured"]:
        yield _check(
            "none is slower beyond noise",
            not speed["slower"],
            f"{len(speed['slower'])} of {speed['measured']} are",
            required=False,
        )


def _check(what: str, holds: bool, found: str, required: bool = True) -> dict[str, Any]:
    return {"what": what, "holds": holds, "found": found, "required": required}


def _print_totals(rows: Sequence[Row], totals: dict[str, Any]) -> None:
    statuses, speed = totals["statuses"], totals["speed"]
    print(f"\n{totals['models']} models at ratio {totals['ratio']}:", end=" ")
    print(", ".join(f"{count} {status}" for status, count in statuses.items() if count))
    print("\nconvolutional (most multiply-accumulates in Conv or ConvTranspose, none recurrent),")
    print("smallest shares of parameters in touched weights:")
    for name, share in totals["convolutional"]["worst"].items():
        print(f"  {name:<39} {share:.2%}")
    print("\nlargest gaps between the bound and what is removed before rounding:")
    by_name = {row.name: row for row in rows}
    for name, gap in totals["gap"]["worst"].items():
        short = f"; {', '.join(by_name[name].short)}" if gap > 1e-3 else ""
        print(f"  {name:<39} {gap:.2%}{short}")
    if speed["measured"]:
        print(f"\nspeed: {speed['faster']} faster, {len(speed['slower'])} slower, ", end="")
        print(f"median ratio {speed['median_ratio']:.2f}; intervals corrected for the number of")
        print(f"models (Bonferroni){': slower ' if speed['slower'] else ''}", end="")
        print(", ".join(speed["slower"]))
    print("\nwhat must hold:")
    for check in totals["checks"]:
        mark = "holds" if check["holds"] else "DOES NOT HOLD"
        print(f"  {mark:<13} {check['what']}: {check['found']}")


if __name__ == "__main__":
    sys.exit(main())
