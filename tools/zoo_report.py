"""Prunes every model of a folder and reports what came of it; run it as `tools/zoo_report`.

Each model is pruned in memory in a process of its own, once for each scope and ratio, verified
against its masked reference, saved, loaded again, run, and timed against the original.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

from apart import apart
from checks import all_hold
from failures import DIED
from zoo.lines import HEADER, LEGEND, row_lines, total_lines
from zoo.model import Row, Task, examine, new_row
from zoo.quantizers import QUANTIZERS
from zoo.skeleton import find_models, name_of
from zoo.totals import Expectation, summarise
from zoo.variants import LEVELS, Variant, model_type

from onnxprune.errors import UsageError
from onnxprune.passes import RemoveChannels


def main() -> int:
    """Runs the report and returns the exit code."""
    options = _options()
    paths = [p for p in find_models(options.folder) if fnmatchcase(name_of(p), options.only)]
    if not paths:
        print(f"zoo_report: no model in {options.folder} is named {options.only}", file=sys.stderr)
        return 2
    try:
        settings = _settings(options)
    except (UsageError, ValueError) as error:
        print(f"zoo_report: {error}", file=sys.stderr)
        return 2
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    variant = Variant(options.float16, options.transformers, options.quantized, options.optimized)
    speed = not options.no_speed and options.jobs == 1
    confidence = 1 - 0.05 / (len(paths) * len(settings))
    folders = options.keep, options.made
    tasks = [Task(path, settings, variant, *folders, speed, confidence) for path in paths]
    print(LEGEND, *(["", f"Models made {variant}."] * bool(str(variant))), "", HEADER, sep="\n")
    rows = []
    for row in _run(tasks, options.jobs):
        rows.append(row)
        print(*row_lines(row), sep="\n", flush=True)
    totals = summarise(rows, options.expect)
    print(*total_lines(rows, totals), sep="\n")
    if options.json is not None:
        document = {
            "schema": 3,
            "variant": asdict(variant),
            "totals": totals,
            "models": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all_hold(totals["checks"]) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="zoo_report", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("folder", type=Path, help="holds NAME.onnx.xz skeletons or NAME.onnx files")
    add("--ratio", default="0.3", metavar="R,...", help="fractions of channels to remove")
    add("--scope", default="uniform", metavar="S,...", help="scopes of selection")
    add("--optimized", default="", choices=LEVELS, help="first optimized by ONNX Runtime")
    add("--float16", action="store_true", help="first converted to float16")
    add(
        "--transformers",
        default="",
        type=model_type,
        metavar="TYPE[:HEADS]",
        help="first through ONNX Runtime's transformer optimizer, as models of this type: bert, "
        "gpt2, vit, ...",
    )
    add("--quantized", default="", choices=tuple(QUANTIZERS), help="first quantized")
    add("--made", type=Path, metavar="DIR", help="leave such variants there, for later runs")
    add(
        "--expect",
        type=Expectation.parse,
        action="append",
        default=[],
        metavar="PATTERN=SHARE",
        help="share that must be gone of models of these names, uniform at the largest ratio",
    )
    add("--json", type=Path, help="write everything measured to this file too")
    add("--only", default="*", metavar="PATTERN", help="models of these names")
    add("--jobs", type=int, default=1, help="models at a time; above 1 no speed")
    add("--keep", type=Path, metavar="DIR", help="leave the pruned models there")
    add("--no-speed", action="store_true", help="compare no latencies")
    return parser.parse_args()


def _settings(options: argparse.Namespace) -> tuple[RemoveChannels, ...]:
    """Every ratio with every scope; onnxprune itself says what is wrong with them."""
    ratios = [float(text) for text in options.ratio.split(",")]
    pairs = product(options.scope.split(","), ratios)
    return tuple(RemoveChannels(ratio=ratio, scope=scope) for scope, ratio in pairs)


def _run(tasks: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Examines each model in a process of its own, in order."""
    with ThreadPoolExecutor(max_workers=max(jobs, 1)) as pool:
        yield from pool.map(_examine_apart, tasks)


def _examine_apart(task: Task) -> Row:
    (row,) = apart(examine, [task], lambda task: new_row(task, DIED))
    return row


if __name__ == "__main__":
    sys.exit(main())
