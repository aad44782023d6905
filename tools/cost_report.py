"""Measures what pruning itself costs; run it as `tools/cost_report`.

Two questions. How long do analysis and removal, without verification, take on a model of the size
of ResNet-50, compared with reading and writing the same file with plain onnx? And how do they grow
with the number of operators? Imports are not counted; files lie in the page cache.
"""

import argparse
import cProfile
import gc
import json
import pstats
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rich import box
from rich.console import Console
from rich.table import Table

import onnxprune as op

PIPELINE = op.Pipeline("fold-constants,remove-channels{ratio=0.3},fold-empty")
ROUNDS = 7
CHAINS = (1_000, 4_000, 16_000)
CHAIN_CHANNELS = 8
LIMIT = 3.0
"""Analysis and removal may take this many times what reading and writing takes."""
GROWTH_LIMIT = 1.5
"""Growth is linear if no chain takes this many times the seconds an operator of a shorter one."""
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # ResNet-50: width of the middle, blocks


class Graph:
    """A graph under construction, float32 and NCHW."""

    def __init__(self, seed: int = 0) -> None:
        """Starts an empty graph."""
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._generator = np.random.default_rng(seed)

    def weight(self, *shape: int) -> str:
        """Adds a random weight and returns its name."""
        values = self._generator.standard_normal(shape, dtype=np.float32)
        name = f"w{len(self.weights)}"
        fan_in = max(int(np.prod(shape[1:])), 1)
        self.weights.append(numpy_helper.from_array(values / np.float32(fan_in**0.5), name))
        return name

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node and returns the name of its result."""
        name = f"{op_type.lower()}{len(self.nodes)}"
        node = helper.make_node(op_type, inputs, [name], name=name, **attributes)
        self.nodes.append(node)
        return name

    def conv(self, x: str, wide: int, narrow: int, kernel: int = 1, stride: int = 1) -> str:
        """Adds a convolution with bias from `wide` to `narrow` channels."""
        pad = kernel // 2
        weight, bias = self.weight(narrow, wide, kernel, kernel), self.weight(narrow)
        return self.add(
            "Conv", x, weight, bias, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4
        )

    def model(self, shape: list[int], result: str, rank: int) -> onnx.ModelProto:
        """Makes the model with input `x` of `shape` and `result` as its output."""
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        y = helper.make_tensor_value_info(result, TensorProto.FLOAT, [None] * rank)
        graph = helper.make_graph(self.nodes, "cost", [x], [y], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def residual_network() -> onnx.ModelProto:
    """Makes a network of ResNet-50's shape: 25.5 M parameters, 122 operators."""
    graph = Graph()
    x = graph.add("Relu", graph.conv("x", 3, 64, 7, 2))
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    wide = 64
    for stage, (width, blocks) in enumerate(STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = graph.add("Relu", graph.conv(x, wide, width))
            y = graph.add("Relu", graph.conv(y, width, width, 3, stride))
            y = graph.conv(y, width, 4 * width)
            if not block:
                x = graph.conv(x, wide, 4 * width, 1, stride)
            x = graph.add("Relu", graph.add("Add", y, x))
            wide = 4 * width
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add("Gemm", x, graph.weight(1000, wide), graph.weight(1000), transB=1)
    return graph.model([1, 3, 224, 224], x, 2)


def chain(length: int) -> onnx.ModelProto:
    """Makes a chain of `length` operators: 1x1 convolutions, activations, an Add now and then."""
    graph = Graph()
    x = graph.conv("x", 3, CHAIN_CHANNELS)
    earlier = x
    while len(graph.nodes) < length - 1:
        x = graph.add("Relu", graph.conv(x, CHAIN_CHANNELS, CHAIN_CHANNELS))
        if len(graph.nodes) % 10 < 2:
            x = graph.add("Add", x, earlier)
            earlier = graph.conv(x, CHAIN_CHANNELS, CHAIN_CHANNELS)
            x = earlier
    x = graph.conv(x, CHAIN_CHANNELS, 4)
    return graph.model([1, 3, 8, 8], x, 4)


def measure_file(path: Path, scratch: Path) -> dict[str, Any]:
    """Times everything on one file, interleaved; medians in seconds.

    Args:
        path: the model.
        scratch: a folder to write to.
    """
    times: dict[str, list[float]] = {}

    def clock(part: str, work: Callable[[], Any]) -> Any:
        gc.collect()
        start = perf_counter()
        done = work()
        times.setdefault(part, []).append(perf_counter() - start)
        return done

    target = scratch / "out.onnx"
    parts: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        proto = clock("onnx.load", partial(onnx.load, path))
        clock("onnx.save", partial(onnx.save, proto, target))
        model = clock("load", partial(op.load, path))
        result = clock("analyse and remove", partial(PIPELINE.run, model))
        clock("save", partial(result.model.save, target))
        for part, seconds in result.seconds.items():
            parts.setdefault(part, []).append(seconds)
    medians = {part: statistics.median(found) for part, found in times.items()}
    plain = medians["onnx.load"] + medians["onnx.save"]
    whole = medians["load"] + medians["analyse and remove"] + medians["save"]
    return {
        "model": path.name,
        "parameters": model.parameters,
        "nodes": len(model.proto.graph.node),
        "size_bytes": path.stat().st_size,
        "seconds": medians,
        "of it": {part: statistics.median(found) for part, found in parts.items()},
        "ratio": medians["analyse and remove"] / plain,
        "whole_ratio": whole / plain,
        "limit": LIMIT,
    }


def measure_chains() -> list[dict[str, Any]]:
    """Times analysis and removal on chains of operators, the best of three runs each."""
    rows = []
    for length in CHAINS:
        model = op.load(chain(length))
        best, parts = float("inf"), {}
        for _ in range(3):
            gc.collect()
            start = perf_counter()
            result = PIPELINE.run(model)
            seconds = perf_counter() - start
            if seconds < best:
                best, parts = seconds, dict(result.seconds)
        nodes = len(model.proto.graph.node)
        rows.append({"nodes": nodes, "seconds": best, "per_node_ms": best / nodes * 1e3} | parts)
    return rows


def profile() -> None:
    """Prints where the time goes on the longest chain."""
    model = op.load(chain(CHAINS[-1]))
    profiler = cProfile.Profile()
    profiler.runcall(PIPELINE.run, model)
    stats = pstats.Stats(profiler)
    stats.sort_stats("tottime").print_stats(25)
    stats.sort_stats("cumulative").print_stats(40)


def print_file(console: Console, file: dict[str, Any]) -> None:
    """Prints what one file cost."""
    title = (
        f"\n{file['model']}: {file['parameters'] / 1e6:.1f} M parameters, {file['nodes']} operators"
    )
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    made.add_column("")
    made.add_column("seconds", justify="right")
    for part, seconds in file["seconds"].items():
        made.add_row(part, f"{seconds:.4f}")
        if part == "analyse and remove":
            for name, inner in file["of it"].items():
                made.add_row(f"  {name}", f"{inner:.4f}")
    console.print(made)
    verdict = "holds" if file["ratio"] <= LIMIT else "DOES NOT HOLD"
    console.print(
        f"analysis and removal take {file['ratio']:.2f} times what onnx.load and onnx.save take\n"
        f"(at most {LIMIT:.0f}: {verdict}); "
        f"with onnxprune's own reading and writing {file['whole_ratio']:.2f} times",
        highlight=False,
    )


def print_chains(console: Console, rows: list[dict[str, Any]]) -> bool:
    """Prints how the time grows; returns whether it does so linearly."""
    made = Table(title="\nchains of operators", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("operators", "seconds", "ms an operator", "analyse", "remove"):
        made.add_column(heading, justify="right")
    for row in rows:
        seconds = (row["seconds"], row["per_node_ms"], row.get("analyse", 0), row.get("remove", 0))
        made.add_row(f"{row['nodes']:,}", *(f"{value:.3f}" for value in seconds))
    console.print(made)
    growth = max(after["per_node_ms"] / before["per_node_ms"] for before, after in pairwise(rows))
    linear = bool(growth <= GROWTH_LIMIT)
    console.print(
        f"from one length to the next, an operator costs at most {growth:.2f} times as much\n"
        f"(at most {GROWTH_LIMIT}: {'holds' if linear else 'DOES NOT HOLD'})",
        highlight=False,
    )
    return linear


def main() -> int:
    """Runs the benchmark and returns the exit code."""
    parser = argparse.ArgumentParser(prog="cost_report", description=__doc__.split("\n\n")[1])
    parser.add_argument("model", type=Path, nargs="?", help="default: one of ResNet-50's shape")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument("--profile", action="store_true", help="profile the longest chain instead")
    options = parser.parse_args()
    if options.model is not None and not options.model.is_file():
        parser.error(f"there is no model {options.model}")
    if options.profile:
        profile()
        return 0
    console = Console()
    with tempfile.TemporaryDirectory(prefix="cost-report-") as scratch:
        path = options.model
        if path is None:
            path = Path(scratch) / "resnet50_shape.onnx"
            onnx.save(residual_network(), path)
        file = measure_file(path, Path(scratch))
    print_file(console, file)
    rows = measure_chains()
    linear = print_chains(console, rows)
    if options.json is not None:
        document = {"schema": 1, "file": file, "chains": rows, "linear": linear}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if linear and file["ratio"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
