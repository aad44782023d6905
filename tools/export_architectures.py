"""Exports architectures with random weights from PyTorch; run it as `tools/export_architectures`.

Each is written by both of PyTorch's exporters, NAME.ts.onnx by the one based on TorchScript and
NAME.dyn.onnx by the one based on torch.export, and each file is compared with PyTorch on inputs of
two sizes. No weights are downloaded.
"""

import argparse
import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from time import perf_counter

TOLERANCE = 1e-3  # of an output's standard deviation
TORCHSCRIPT_OPSET = 17
DYNAMO_OPSET = 20  # what PyTorch 2.13 takes unless told
# What the dynamo exporter notes of the source of each node: absolute paths of this machine.
STACK_TRACE_KEY = "pkg.torch.onnx.stack_trace"

try:
    import onnx
    import onnxruntime
    import torch
    from torch import Tensor, nn
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
from architecture import OTHER_SIZES, SIZES, Architecture, InOrder, make  # noqa: E402
import architectures_nets, architectures_transformers, architectures_vision
ROWS = sorted((*architectures_nets.ROWS, *architectures_vision.ROWS, *architectures_transformers.ROWS), key=lambda r: r.name)

def main() -> int:
    o = _options()
    rows = [r for r in ROWS if fnmatchcase(r.name, o.only)]
    if o.list:
        for r in rows: print(r.name)
        return 0
    o.folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for row in rows:
        for e in o.exporter or EXPORTERS:
            if e in row.without:
                print(f"{row.name}.{e:<5} left out: {row.without[e]}", flush=True)
                continue
            start = perf_counter()
            path = o.folder / f"{row.name}.{e}.onnx"
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    export(row, e, path)
                    w = check(row, path)
                print(row.name, e, 'ok', f"{path.stat().st_size/1e6:.1f} MB {perf_counter()-start:.0f} s dev {w:.1e}", flush=True)
            except Exception as error:
                print(row.name, e, 'FAILED', type(error).__name__, str(error)[:700].replace('\n',' '), flush=True)
    return 0

def _options():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="*")
    parser.add_argument("--exporter", action='append')
    parser.add_argument("--list", action='store_true')
    return parser.parse_args()


def export(architecture: Architecture, exporter: str, path: Path) -> None:
    network = make(architecture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        EXPORTERS[exporter](network, architecture, path)

def check(a, path):
    network = make(a)
    s = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst=0.
    for sizes in (SIZES, OTHER_SIZES):
        ex = a.example(sizes)
        with torch.inference_mode(): want = network(*ex)
        want = want if isinstance(want, (tuple, list)) else want.values() if isinstance(want, dict) else (want,)
        names={i.name for i in s.get_inputs()}
        got = s.run(None, {n: t.numpy() for n, t in zip(a.inputs, ex) if n in names})
        for w, g in zip(want, got):
            w = w.numpy()
            assert w.shape == g.shape, (sizes, w.shape, g.shape)
            d=float(abs(w.astype('f8') - g).max()/(w.std()+1e-9))
            worst=max(worst, d)
            assert d < TOLERANCE, (sizes, d)
    return worst


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
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key != STACK_TRACE_KEY]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)

EXPORTERS = {"ts": _export_torchscript, "dyn": _export_dynamo}

if __name__ == "__main__":
    sys.exit(main())
