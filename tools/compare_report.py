"""Compares onnxprune with onnxsim.pruning; run it as `tools/compare_report`.

Both remove the same fraction of channels of the same file, each with its defaults and without data,
in a process of its own with a limit of time. Of what they write: the share of the parameters that
is gone, whether ONNX Runtime loads and runs it, how close the outputs stay to the original's on
random inputs (the mean cosine), and the seconds from file to file. onnxprune's include its proof;
it is run once more with `--repair`, which fits what is left to random inputs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import onnx
from rich import box
from rich.console import Console
from rich.table import Table
from zoo.skeleton import find_models, name_of, read_model

import onnxprune as op
from onnxprune.errors import NothingToPruneError, OnnxPruneError
from onnxprune.verify.fidelity import measure_fidelity
from onnxprune.verify.sessions import session_of

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
WAYS = ("onnxprune", "--repair", "onnxsim")
COLUMNS = (("cosine", 3), ("seconds", 1))
"""What stands beside the share that is gone, with its digits."""


def main() -> int:
    """Runs the comparison; 0 if onnxprune's results all load and run."""
    parser = argparse.ArgumentParser(
        prog="compare_report", description=__doc__.partition("\n\n")[2]
    )
    parser.add_argument("models", nargs="*", type=Path, help="by default those of fixtures/")
    parser.add_argument("--ratio", type=float, default=0.3, help="of the channels that goes")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for a model and a tool")
    parser.add_argument("--json", type=Path, help="write all rows to this file too")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    for path in given.models:
        if not path.is_file():
            parser.error(f"there is no model {path}")
    if given.one:
        print(json.dumps(examine(given.one, given.models[0], given.ratio)))
        return 0
    models = given.models or [*find_models(FIXTURES), *find_models(FIXTURES / "zoo")]
    rows: list[dict[str, Any]] = []
    for path in models:
        rows += compared(path, given.ratio, given.limit)
        print(*(f"{row['tool']}: {row['outcome']}" for row in rows[-len(WAYS) :]), file=sys.stderr)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    show(rows, given.ratio)
    ours = [row for row in rows if row["tool"] != "onnxsim"]
    return 0 if all(row["outcome"] in ("runs", "nothing removed") for row in ours) else 1


def compared(path: Path, ratio: float, limit: float) -> list[dict[str, Any]]:
    """What each tool makes of a model."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / f"{name_of(path)}.onnx"
        onnx.save(read_model(path), str(model))
        return [{"model": name_of(path), "tool": t, **alone(t, model, ratio, limit)} for t in WAYS]


def alone(tool: str, model: Path, ratio: float, limit: float) -> dict[str, Any]:
    """One tool on one model, in a process of its own."""
    command = [sys.executable, __file__, f"--one={tool}", "--ratio", str(ratio), str(model)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"outcome": f"not done in {limit:g} s"}
    if ran.returncode:
        return {"outcome": f"stops: {(ran.stderr.strip() or 'crash').splitlines()[-1][:80]}"}
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def examine(tool: str, path: Path, ratio: float) -> dict[str, Any]:
    """Prunes a model and looks at what became of it."""
    target = path.with_suffix(".pruned.onnx")
    start = perf_counter()
    try:
        prune_with(tool, path, target, ratio)
    except NothingToPruneError:
        return {"outcome": "nothing removed", "gone": 0.0, "seconds": perf_counter() - start}
    seconds = perf_counter() - start
    before = op.load(path)
    try:
        pruned = op.load(target)
        gone = 1 - pruned.parameters / before.parameters
        feeds = op.Pipeline("fold-constants").run(before).feeds(count=4)
        with session_of(before) as one, session_of(pruned) as other:
            fidelity = measure_fidelity(one, other, feeds)
    except OnnxPruneError as error:
        return {"outcome": f"does not run: {error}"[:100], "seconds": seconds}
    cosine = [found.cosine for found in fidelity.values()]
    return {
        "outcome": "runs" if gone else "nothing removed",
        "gone": gone,
        "cosine": sum(cosine) / len(cosine),
        "seconds": seconds,
    }


def prune_with(tool: str, path: Path, target: Path, ratio: float) -> None:
    """From file to file."""
    if tool != "onnxsim":
        result = op.prune(path, ratio, repair=tool == "--repair")
        result.verify()
        result.model.save(target)
        return
    from onnxsim.pruning import apply_structured_pruning

    onnx.save(apply_structured_pruning(onnx.load(str(path)), sparsity=ratio), str(target))


def show(rows: list[dict[str, Any]], ratio: float) -> None:
    """Prints one line for each model."""
    versions = ", ".join(
        f"{tool} {version(tool)}" for tool in ("onnxprune", "onnxsim", "onnxruntime")
    )
    table = Table(title=f"{ratio:.0%} of the channels: {versions}", box=box.SIMPLE_HEAD)
    table.add_column("model")
    for tool in WAYS:
        for heading in (f"{tool}: gone", "cosine", "seconds"):
            table.add_column(heading, justify="right")
    by_model: dict[str, list[str]] = {}
    for row in rows:
        gone = f"{row['gone']:.1%}" if "gone" in row else row["outcome"]
        numbers = (f"{row[key]:.{digits}f}" if key in row else "" for key, digits in COLUMNS)
        by_model.setdefault(row["model"], [row["model"]]).extend([gone, *numbers])
    for cells in by_model.values():
        table.add_row(*cells)
    Console(width=150 if not sys.stdout.isatty() else None).print(table)


if __name__ == "__main__":
    sys.exit(main())
