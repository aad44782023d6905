"""Prunes the two trained networks of `fixtures/`; run it as `tools/demo`.

Shows for each of them, original beside pruned: accuracy on held-out images, parameters,
multiply-accumulates, file size, operators, latency, and whether the pruned model is proven to
compute what the original computes with the removed channels masked.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

import onnxprune as op
from onnxprune.cost.macs import count_macs
from onnxprune.errors import OnnxPruneError
from onnxprune.pipelines.presets import pruning
from onnxprune.runtime import Session
from onnxprune.verify.equivalence import Equivalence
from onnxprune.verify.speed import Speedup

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
NETWORKS = ("digits_cnn.ts", "digits_vit.ts")
SETTINGS: dict[str, dict[str, Any]] = {
    "--channels 0.3 --no-repair": {"ratio": 0.3, "repair": False},
    "--channels 0.3": {"ratio": 0.3},
    "--target-macs 0.5": {"targets": ("macs=0.5",)},
}
"""The main job without repair and with it, and half of the multiply-accumulates; with --data."""
INPUT, OUTPUT = "image", "logits"
BATCH = 16
"""Images a run when latency is measured: of one small image most of the time is overhead."""


@dataclass(frozen=True, slots=True)
class Column:
    """One model's column of the table."""

    heading: str
    correct: int
    images: int
    parameters: int
    macs: float
    size_bytes: int
    nodes: int
    latency_ms: float
    speed: Speedup | None
    equivalence: Equivalence | None


def main() -> int:
    """Runs the demonstration and returns the exit code."""
    options = _options()
    console = Console()
    try:
        with _folder(options.to) as folder:
            for name in NETWORKS:
                show(name, folder, console)
    except OnnxPruneError as error:
        print(f"tools/demo: {error}", file=sys.stderr)
        return error.exit_code
    console.print(
        "\nNothing was trained after pruning: repair fits the layers that are left to 256 images "
        "without labels. The plan beside each pruned model says which channels of the original "
        "stay, for the framework that the network was trained in.",
        highlight=False,
    )
    console.print(
        "The pruned files are gone; tools/demo --to DIR keeps them."
        if options.to is None
        else f"The pruned models and their plans are in {options.to}.",
        highlight=False,
    )
    return 0


def show(name: str, folder: Path, console: Console) -> None:
    """Prunes one network in each of the ways and prints the table.

    Args:
        name: of the file in `fixtures/`, without its suffix.
        folder: where the pruned models and their plans are written.
        console: where the table goes.
    """
    source = FIXTURES / f"{name}.onnx"
    with console.status(f"{name}: reading"):
        model = op.load(source)
    columns: list[Column] = []
    data = op.open_data(FIXTURES / "digits_calibration.npz", model)
    for place, (heading, options) in enumerate(SETTINGS.items()):
        with console.status(f"{name}: {heading}: pruning") as status:
            result = pruning(**options).run(model, data=data)
            status.update(f"{name}: {heading}: verifying")
            result.verify()
            target = folder / f"{name}.pruned{place + 1}.onnx"
            result.model.save(target)
            result.plan.save(target.with_suffix(".plan.json"))
            status.update(f"{name}: {heading}: measuring")
            speed = result.benchmark(batch=BATCH)
            if not columns:
                columns.append(original_column(result, source, speed))
            columns.append(pruned_column(result, target, speed, heading))
    console.print(table(name, columns))


def original_column(result: op.Result, path: Path, speed: Speedup) -> Column:
    """Measures the model that a result was made from."""
    correct, images = accuracy(path)
    removal = result.removals[0]
    batch = removal.analysis.canonical.inputs[INPUT][0]
    return Column(
        "original",
        correct,
        images,
        result.original.parameters,
        count_macs(removal.analysis) / batch,
        path.stat().st_size,
        len(result.original.proto.graph.node),
        speed.original.p50_ms,
        None,
        None,
    )


def pruned_column(result: op.Result, path: Path, speed: Speedup, heading: str) -> Column:
    """Measures the file that a result was written to."""
    correct, images = accuracy(path)
    removal = result.removals[0]
    batch = removal.analysis.canonical.inputs[INPUT][0]
    return Column(
        heading,
        correct,
        images,
        result.model.parameters,
        count_macs(removal.analysis, removal.keeps) / batch,
        path.stat().st_size,
        len(result.model.proto.graph.node),
        speed.pruned.p50_ms,
        speed,
        result.equivalence,
    )


def accuracy(path: Path) -> tuple[int, int]:
    """Returns how many of the held-out images a model names correctly, and how many there are."""
    with np.load(FIXTURES / "digits_test.npz") as data:
        image, label = data["image"], data["label"]
    logits = Session(path).run({INPUT: image})[OUTPUT]
    return int((logits.argmax(axis=1) == label).sum()), len(label)


def table(name: str, columns: list[Column]) -> Table:
    """Puts the columns side by side, each with its change against the first."""
    first = columns[0]
    made = Table(title=f"\n{name}.onnx", title_justify="left", box=box.SIMPLE_HEAD)
    made.add_column("")
    for column in columns:
        made.add_column(column.heading, justify="right")
    rows: dict[str, Callable[[Column], str]] = {
        "held-out accuracy": lambda c: f"{c.correct / c.images:.2%}",
        "  images right": lambda c: f"{c.correct} of {c.images}",
        "parameters": lambda c: _changed(f"{c.parameters:,}", c.parameters, first.parameters),
        "MACs, one image": lambda c: _changed(f"{c.macs / 1e6:.2f} M", c.macs, first.macs),
        "file size": lambda c: _changed(
            f"{c.size_bytes / 1e3:,.0f} kB", c.size_bytes, first.size_bytes
        ),
        "operators": lambda c: str(c.nodes),
        f"latency, {BATCH} images": lambda c: f"{c.latency_ms:.3f} ms",
        "  speed-up, paired": lambda c: _interval(c.speed),
        "  verdict": lambda c: "" if c.speed is None else c.speed.verdict,
        "equivalence": lambda c: "" if c.equivalence is None else c.equivalence.verdict,
        "  largest deviation": lambda c: (
            "" if c.equivalence is None else f"{c.equivalence.max_rel:.0e}"
        ),
    }
    for label, show_cell in rows.items():
        made.add_row(label, *map(show_cell, columns))
    return made


def _changed(text: str, value: float, before: float) -> str:
    return text if value == before else f"{text} ({value / before - 1:+.0%})"


def _interval(speed: Speedup | None) -> str:
    if speed is None:
        return ""
    return f"{speed.ratio:.2f} [{speed.low:.2f}, {speed.high:.2f}]"


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
        return
    with tempfile.TemporaryDirectory(prefix="onnxprune-demo-") as scratch:
        yield Path(scratch)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.split("\n\n")[1])
    parser.add_argument("--to", type=Path, metavar="DIR", help="keep the pruned models and plans")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
