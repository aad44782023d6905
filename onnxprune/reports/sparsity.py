"""What `inspect --sparsity` shows: the zeros of a model, and who gains from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import IO, Any, Literal

from rich.console import Console
from rich.table import Table

from onnxprune.cost.macs import count_macs
from onnxprune.cost.sparsity import PATTERNS, Zeros, weight_zeros
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.encode import compressed_bytes
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import sparse_savings
from onnxprune.progress import track
from onnxprune.reports.inspection import NAME_SHOWN
from onnxprune.reports.quantities import count, share, size
from onnxprune.reports.record import SCHEMA, Record, describe_model, ratio
from onnxprune.reports.terminal import console, plain_table, room, shortened

WEIGHTS_SHOWN = 20
"""Smaller weights are counted; `--json` has them all."""
_TENSOR_CORES = (2, 4)
"""The pattern that GPUs since Ampere multiply by at double rate."""


def sparsity(model: Model, analysis: Analysis) -> Record:
    """Describe the zeros of a model.

    Args:
        model: the model as it was loaded.
        analysis: of it.

    Raises:
        ModelError: a weight cannot be read.
    """
    total = len(analysis.weights)
    found = list(track(weight_zeros(analysis), "counting zeros", total))
    found.sort(key=lambda weight: (-weight.numbers, weight.name))
    numbers, zeros = sum(w.numbers for w in found), sum(w.zeros for w in found)
    macs = count_macs(analysis)
    shares = {
        _name(pattern): ratio(sum(w.macs for w in found if _gains(w, pattern)), macs)
        for pattern in PATTERNS
    }
    return {
        "schema": SCHEMA,
        "model": {**describe_model(model), "size_bytes": model.size_bytes},
        "weights": [_entry(weight) for weight in found],
        "totals": {
            "numbers": numbers,
            "zeros": zeros,
            "share": ratio(zeros, numbers),
            "macs_that_conform": shares,
        },
        "size": _sizes(model),
        "providers": _providers(shares[_name(_TENSOR_CORES)]),
    }


def _entry(weight: Zeros) -> Record:
    channels = weight.channels
    return {
        "name": weight.name,
        "shape": list(weight.shape),
        "readers": [{"node": node, "op_type": op_type} for node, op_type in weight.readers],
        "numbers": weight.numbers,
        "zeros": weight.zeros,
        "share": weight.share,
        "conforms": channels
        and {_name(pattern): pattern in channels.patterns for pattern in PATTERNS},
        "channels": channels
        and {
            "summed": channels.reads,
            "inputs": channels.inputs,
            "outputs": channels.outputs,
            "empty_inputs": channels.empty_inputs,
            "empty_outputs": channels.empty_outputs,
        },
    }


def _name(pattern: tuple[int, int]) -> str:
    return "{}:{}".format(*pattern)


def _gains(weight: Zeros, pattern: tuple[int, int]) -> bool:
    """Whether a pattern means anything: a layer that sums over fewer channels has no use for it."""
    channels = weight.channels
    return channels is not None and channels.reads >= pattern[1] and pattern in channels.patterns


def _sizes(model: Model) -> Record:
    raw = model.size_bytes
    return {
        "raw_bytes": raw,
        "compressed_bytes": compressed_bytes(model),
        "sparse_bytes": raw - sum(sparse_savings(model).values()),
    }


def _providers(at_double_rate: float) -> list[Record]:
    """What each execution provider makes of zeros.

    By the documentation of ONNX Runtime's providers, of TensorRT ("Structured Sparsity") and of
    OpenVINO's CPU plugin ("Sparse weights decompression").
    """
    texts = {
        "cpu": "computes with zeros as with other numbers; sparse storage is made dense when the "
        "session is made. Nothing is faster.",
        "cuda": "the same.",
        "tensorrt": "with trt_sparsity_enable=1, and on GPUs since Ampere, may take faster kernels "
        "for weights that are 2:4 along the channels that they sum over; here these have "
        f"{share(at_double_rate)} of the MACs. No gain from other zeros.",
        "openvino": "on CPUs with AMX, and only if CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE is set, "
        "reads int8 weights of MatMul without their zeros where these are most. No gain from "
        "other zeros.",
    }
    return [{"provider": provider, "text": text} for provider, text in texts.items()]


def print_sparsity(record: Mapping[str, Any], file: IO[str], title: str) -> None:
    """Print what is known of a model's zeros.

    Args:
        record: as `sparsity` makes it.
        file: where to print it.
        title: a line above.
    """
    out = console(file)
    totals, sizes = record["totals"], record["size"]
    out.print(title, style="bold")
    out.print(
        f"{count(totals['zeros'])} of {count(totals['numbers'])} numbers in weights are zero, "
        f"{share(totals['share'])}"
    )
    out.print("")
    weights = record["weights"]
    if weights:
        out.print(_table(weights[:WEIGHTS_SHOWN], room(out, NAME_SHOWN)), "")
    if len(weights) > WEIGHTS_SHOWN:
        out.print(f"  and {len(weights) - WEIGHTS_SHOWN} smaller weights (--json lists all)")
    conforming = (f"{name} {share(part)}" for name, part in totals["macs_that_conform"].items())
    out.print(f"MACs that conform: {', '.join(conforming)}.")
    out.print(
        f"File: {size(sizes['raw_bytes'])}; compressed (zlib) {size(sizes['compressed_bytes'])}; "
        f"with --sparse-storage {size(sizes['sparse_bytes'])}."
    )
    _print_providers(out, record["providers"])


def _print_providers(out: Console, providers: Iterable[Mapping[str, Any]]) -> None:
    out.print("What execution providers make of zeros:")
    for entry in providers:
        text = f"  {entry['provider']}: {entry['text']}"
        out.print(fill(text, out.width, subsequent_indent="    "))


def _table(weights: Sequence[Mapping[str, Any]], width: int) -> Table:
    """Names and operators are cut off where there is no room; numbers never are."""
    table = plain_table()
    table.padding = (0, 1, 0, 0)
    rows = [_row(weight, width) for weight in weights]
    headings = ("weight", "shape", "zeros", "N:M", "empty in, out", "read by")
    for place, (heading, *cells) in enumerate(zip(headings, *rows, strict=True)):
        is_number = place in (2, 3, 4)
        least = max(map(len, (heading, *cells))) if is_number or heading == "shape" else None
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(heading, justify=justify, no_wrap=True, min_width=least)
    for row in rows:
        table.add_row(*row)
    return table


def _row(weight: Mapping[str, Any], width: int) -> tuple[str, ...]:
    channels = weight["channels"]
    empty = [channels[key] for key in ("empty_inputs", "empty_outputs")] if channels else []
    return (
        shortened(weight["name"], width),
        "x".join(map(str, weight["shape"])),
        share(weight["share"]),
        _strictest(weight),
        ", ".join(map(count, empty)),
        _operators(weight["readers"]),
    )


def _strictest(weight: Mapping[str, Any]) -> str:
    """The pattern that the others follow from, of those that channels are enough for."""
    for most, of in PATTERNS if weight["channels"] else ():
        name = _name((most, of))
        if weight["conforms"][name] and weight["channels"]["summed"] >= of:
            return name
    return ""


def _operators(readers: Sequence[Mapping[str, Any]]) -> str:
    if not readers:
        return ""
    others = f" +{len(readers) - 1}" if len(readers) > 1 else ""
    return f"{readers[0]['op_type']}{others}"
