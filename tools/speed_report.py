"""Does the measurement of speed keep its word? Run it as `tools/speed_report`.

Two models that are one and the same must not be called faster or slower; one that does a tenth
less must be called faster; and on a machine with other work to do the answer is "cannot tell", not
a guess. Each comparison is one that `onnxprune benchmark` makes, in a process of its own, for where
memory lies differs from process to process. The network is a chain of equal layers, so that a
tenth of the layers is a tenth of the work.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rich import box
from rich.console import Console
from rich.table import Table

import onnxprune as op
from onnxprune.gate.rules import SpeedRule
from onnxprune.gate.verdicts import of_speed
from onnxprune.pipelines.comparison import Comparison

LAYERS = 20
"""Of the whole network; a tenth less is two less."""
CHANNELS, PLACES = 64, 28
ERRORS = 0.05
"""How often a comparison may be wrong: its intervals have a coverage of 95 %."""
FOUND = 0.9
"""How often a tenth has to be found at least."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One comparison: what it was of, what it said, and what a gate would have said."""

    kind: str
    verdict: str
    ratio: float
    low: float
    high: float
    gate: str


def main() -> int:
    """Runs the report and returns the exit code."""
    options = _options()
    console = Console()
    kinds = {"same": LAYERS, "a tenth less": LAYERS - LAYERS // 10}
    trials: list[Trial] = []
    with _busy(options.load):
        for kind, layers in kinds.items():
            for number in range(options.comparisons):
                if console.is_terminal:
                    console.print(f"{kind}, {number + 1} of {options.comparisons}", end="\r")
                trials.append(_compared(kind, layers, options.budget))
    _show(trials, console)
    held = _judge(trials, options.load, console)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(trial) for trial in trials], indent=1) + "\n")
    return 0 if held else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="speed_report", description=__doc__)
    parser.add_argument("--comparisons", type=int, default=40, help="of each kind")
    parser.add_argument("--budget", type=float, default=3.0, help="seconds for each")
    parser.add_argument("--load", type=int, default=0, help="processes that keep cores busy")
    parser.add_argument("--json", type=Path, help="write all comparisons to this file, too")
    options = parser.parse_args()
    if options.comparisons < 1:
        parser.error("--comparisons: at least one of each kind")
    return options


def _compared(kind: str, layers: int, budget: float) -> Trial:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_compare, kind, layers, budget).result()


def _compare(kind: str, layers: int, budget: float) -> Trial:
    whole, other = (op.Model.load(_chain(count)) for count in (LAYERS, layers))
    found = Comparison(whole, other, {}).latency("cpu", 1, 1, budget)
    (check,) = of_speed(SpeedRule(min_speedup=1.0), found)
    return Trial(kind, found.verdict, found.ratio, found.low, found.high, check.verdict)


def _chain(layers: int) -> onnx.ModelProto:
    """Convolutions in a row, each with its own weights."""
    rng = np.random.default_rng(0)
    shape = [1, CHANNELS, PLACES, PLACES]
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    for place in range(layers):
        kernel = rng.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32) / 24
        weights.append(numpy_helper.from_array(kernel, f"w{place}"))
        nodes.append(
            helper.make_node("Conv", [f"x{place}", f"w{place}"], [f"h{place}"], pads=[1] * 4)
        )
        nodes.append(helper.make_node("Relu", [f"h{place}"], [f"x{place + 1}"]))
    ends = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name in ("x0", f"x{layers}")
    )
    graph = helper.make_graph(nodes, "chain", [next(ends)], [next(ends)], weights)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@contextmanager
def _busy(count: int) -> Generator[None]:
    """Other work on the machine, which comes and goes."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(seed,), daemon=True) for seed in range(count)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()


def _work(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((400, 400))
    while True:
        until = time.perf_counter() + rng.exponential(0.05)
        while time.perf_counter() < until:
            matrix = np.tanh(matrix @ matrix)
        time.sleep(rng.exponential(0.05))


def _show(trials: Sequence[Trial], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    headings = ("faster", "slower", "cannot tell", "median ratio", "smallest", "largest")
    for heading in headings:
        table.add_column(heading, justify="right")
    for kind in dict.fromkeys(trial.kind for trial in trials):
        chosen = [trial for trial in trials if trial.kind == kind]
        counts = Counter(trial.verdict for trial in chosen)
        ratios = np.array([trial.ratio for trial in chosen])
        numbers = (f"{value:.3f}" for value in (np.median(ratios), ratios.min(), ratios.max()))
        table.add_row(kind, *(str(counts[verdict]) for verdict in headings[:3]), *numbers)
    console.print(table)


def _judge(trials: Sequence[Trial], load: int, console: Console) -> bool:
    """What must hold: on a quiet machine all of it, on a busy one that nothing is guessed."""
    same = [trial for trial in trials if trial.kind == "same"]
    less = [trial for trial in trials if trial.kind != "same"]
    wrong = sum(trial.verdict != "cannot tell" for trial in same)
    slower = sum(trial.verdict == "slower" for trial in less)
    failed = sum(trial.gate == "fail" for trial in less)
    found = sum(trial.verdict == "faster" for trial in less)
    claims = {
        f"one model called faster or slower than itself: {wrong} of {len(same)}": wrong
        <= ERRORS * len(same),
        f"a tenth less work called slower: {slower} of {len(less)}": slower <= ERRORS * len(less),
        f"a gate that asks for no loss of speed fails it: {failed} of {len(less)}": failed
        <= ERRORS * len(less),
    }
    if not load:
        claims[f"a tenth less work found: {found} of {len(less)}"] = found >= FOUND * len(less)
    for claim, holds in claims.items():
        console.print(f"{'holds         ' if holds else 'DOES NOT HOLD '} {claim}")
    return all(claims.values())


if __name__ == "__main__":
    sys.exit(main())
