"""Exports architectures with random weights from PyTorch; run it as `tools/export_architectures`.

Each is written by both of PyTorch's exporters, NAME.ts.onnx by the one based on TorchScript and
NAME.dyn.onnx by the one based on torch.export, and each file is compared with PyTorch on inputs of
two sizes. No weights are downloaded.
"""

import argparse
import contextlib
import io
import sys
import warnings
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from time import perf_counter
from typing import Any

TOLERANCE = 1e-3  # of an output's standard deviation

try:
    import onnxruntime
    import torch
    from torch import nn
except ImportError as error:
    sys.exit(
        f"export_architectures: {error}; install the packages that it exports from, for example\n"
        "  .venv/bin/python -m pip install -e '.[architectures]'"
    )


def _declare_vision_operators() -> None:
    """Lets torchvision be imported where its operators cannot be loaded.

    The wheel on PyPI is built for CUDA. Beside a PyTorch for the CPU its operators do not load,
    and the import then fails on the two that it describes for tracing; no network here uses them.
    """
    with contextlib.suppress(RuntimeError):
        import torchvision  # noqa: F401

        return
    for name in ("nms", "qnms"):
        schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", schema)


_declare_vision_operators()

from architectures import diffusers, generators, images, perception, relations, texts, vision  # noqa: E402
from architectures.architecture import OTHER_SIZES, SIZES, Architecture, InOrder, make  # noqa: E402
from exported import DYNAMO_OPSET, TORCHSCRIPT_OPSET, strip_stack_traces  # noqa: E402

TABLES = (generators, images, relations, vision, texts, perception, diffusers)


def main() -> int:
    """Exports what is asked for and returns the exit code: 1 where an export failed."""
    options = _options()
    rows = sorted((row for table in TABLES for row in table.ROWS), key=lambda row: row.name)
    rows = [row for row in rows if fnmatchcase(row.name, options.only)]
    if not rows:
        print(f"export_architectures: none is named {options.only}", file=sys.stderr)
        return 2
    if options.list:
        print(*(row.name for row in rows), sep="\n")
        return 0
    if options.folder is None:
        print("export_architectures: name the folder to write to", file=sys.stderr)
        return 2
    options.folder.mkdir(parents=True, exist_ok=True)
    results = [_report(row, name, options.folder) for row in rows for name in options.exporter]
    return 0 if all(results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="export_architectures", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("folder", type=Path, nargs="?", help="where the files are written")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="architectures so named")
    parser.add_argument(
        "--exporter",
        nargs="+",
        choices=sorted(EXPORTERS),
        default=sorted(EXPORTERS, reverse=True),
        help="ts (TorchScript), dyn (torch.export); both by default",
    )
    parser.add_argument("--list", action="store_true", help="print the names and do no more")
    return parser.parse_args()


def _report(row: Architecture, exporter: str, folder: Path) -> bool:
    """Exports and checks one file, prints a line, and tells whether it is as it should be.

    An exporter's faults, of any kind, end this file only.
    """
    title = f"{row.name}.{exporter}"
    if exporter in row.without:
        print(f"{title:<44} left out: {row.without[exporter]}", flush=True)
        return True
    path = folder / f"{title}.onnx"
    start = perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            export(row, exporter, path)
            deviation = check(row, path)
    except Exception as error:
        path.unlink(missing_ok=True)
        why = str(error).replace("\n", " ")[:200]
        print(f"{title:<44} FAILED: {type(error).__name__}: {why}", flush=True)
        return False
    size, seconds = path.stat().st_size / 1e6, perf_counter() - start
    print(f"{title:<44} {size:7.1f} MB {seconds:5.0f} s, deviates by {deviation:.0e}", flush=True)
    return True


def export(architecture: Architecture, exporter: str, path: Path) -> None:
    """Writes an architecture to a file.

    Args:
        architecture: the row of a table.
        exporter: a key of `EXPORTERS`.
        path: where to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        EXPORTERS[exporter](make(architecture), architecture, path)


def check(architecture: Architecture, path: Path) -> float:
    """Compares a file with PyTorch, at the sizes that exporters saw and at others.

    Returns:
        The largest deviation, as a share of an output's standard deviation.

    Raises:
        ValueError: an output deviates, or has another shape.
    """
    network = make(architecture)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = {port.name for port in session.get_inputs()}
    worst = 0.0
    for sizes in (SIZES, OTHER_SIZES):
        tensors = architecture.example(sizes)
        pairs = zip(architecture.inputs, tensors, strict=True)
        found = session.run(None, {name: x.numpy() for name, x in pairs if name in names})
        with torch.inference_mode():
            wanted = _flat(network(*tensors))
        for expected, got in zip(wanted, found, strict=True):
            array = expected.numpy().astype("f8")
            if array.shape != got.shape:
                raise ValueError(f"at {sizes} a shape is {got.shape}, not {array.shape}")
            worst = max(worst, float(abs(array - got).max() / (array.std() + 1e-9)))
    if worst > TOLERANCE:
        raise ValueError(f"an output deviates by {worst:.1e} of its standard deviation")
    return worst


def _flat(results: Any) -> list[torch.Tensor]:
    """The tensors in what a network gives, in order."""
    if isinstance(results, torch.Tensor):
        return [results]
    parts = results.values() if isinstance(results, Mapping) else results
    return [tensor for part in parts for tensor in _flat(part)]


def _export_torchscript(network: nn.Module, architecture: Architecture, path: Path) -> None:
    inputs = architecture.inputs
    torch.onnx.export(
        network,
        architecture.example(SIZES),
        path,
        dynamo=False,
        opset_version=TORCHSCRIPT_OPSET,
        input_names=list(inputs),
        dynamic_axes={name: given.dynamic for name, given in inputs.items() if given.dynamic},
    )


def _export_dynamo(network: nn.Module, architecture: Architecture, path: Path) -> None:
    inputs = architecture.inputs
    shapes = tuple(given.dynamic for given in inputs.values())
    torch.onnx.export(
        network,
        architecture.example(SIZES),
        path,
        dynamo=True,
        opset_version=DYNAMO_OPSET,
        external_data=False,
        input_names=list(inputs),
        dynamic_shapes={"tensors": shapes} if isinstance(network, InOrder) else shapes,
        verbose=False,
    )
    strip_stack_traces(path)


EXPORTERS = {"ts": _export_torchscript, "dyn": _export_dynamo}

if __name__ == "__main__":
    sys.exit(main())
