"""Runs ONNX's own backend cases through onnxprune; run it as `tools/backend_report`.

Each case that ONNX Runtime loads is loaded, analysed and saved with nothing removed, which must
change nothing; then it is pruned in the middle of a network, which must be proven, or every axis
blocked with a reason.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from apart import apart
from backend.cases import KINDS, case_names, read_case
from backend.pruning import FAILED, Pruning, examine_pruning
from backend.rows import FED, HELD, Row, row_lines, summarise, total_lines
from backend.same import NOT_LOADED, Sameness, examine_same
from failures import DIED, line_of

Name = tuple[str, str]
"""Kind and name of a case."""
Part = TypeVar("Part")


def main() -> int:
    """Runs the report and returns the exit code."""
    options = _options()
    names = case_names(options.kinds, options.cases)
    if not names:
        print("backend_report: there is no such case", file=sys.stderr)
        return 2
    shares = [names[place :: options.jobs] for place in range(options.jobs)]
    with ThreadPoolExecutor(max_workers=options.jobs) as pool:
        rows = sorted(chain(*pool.map(_rows, shares)), key=lambda row: (row.kind, row.name))
    totals = summarise(rows)
    print(*total_lines(totals), sep="\n")
    if options.json is not None:
        document = {"schema": 1, "totals": totals, "cases": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if totals["failed"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="backend_report", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("--cases", type=_list, default=["*"], metavar="PATTERN,...", help="cases of these names")
    add("--kinds", type=_kinds, default=KINDS, metavar="KIND,...", help=f"of {', '.join(KINDS)}")
    add("--json", type=Path, metavar="FILE", help="write what came of every case to this file too")
    add("--jobs", type=int, choices=range(1, 65), default=1, metavar="N", help="cases at a time")
    return parser.parse_args()


def _list(text: str) -> list[str]:
    return text.split(",")


def _kinds(text: str) -> list[str]:
    kinds = _list(text)
    if not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"choose from {', '.join(KINDS)}")
    return kinds


def _rows(names: Sequence[Name]) -> list[Row]:
    """Examines cases one after the other, apart from this process."""
    rows: list[Row] = []
    for row in apart(examine, names, _died):
        rows.append(row)
        for line in row_lines(row):
            print(line, flush=True)
    return rows


def _died(name: Name) -> Row:
    return Row(*name, Sameness(FAILED, DIED))


def examine(name: Name) -> Row:
    """Does everything with one case; its failures become outcomes."""
    case = read_case(*name)
    row = Row(*name, _telling(partial(examine_same, case), Sameness))
    if row.same.outcome != NOT_LOADED:
        for title, held in ((FED, False), (HELD, True)):
            pruning = _telling(partial(examine_pruning, case, held), Pruning)
            if pruning is not None:
                row.prunings[title] = pruning
    return row


def _telling(examined: Callable[[], Part], failed: Callable[[str, str], Part]) -> Part:
    """Turns a fault that would reach the user as a traceback into an outcome."""
    try:
        return examined()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return failed(FAILED, f"{where}: {line_of(error)}")


if __name__ == "__main__":
    sys.exit(main())
