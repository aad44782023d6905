"""`--quantize` and what goes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from onnxprune.cli.options import all_of
from onnxprune.cli.values import names_in_model, patterns, words
from onnxprune.errors import UsageError
from onnxprune.passes import Quantize
from onnxprune.passes.quantize.quantize import MODES

_OPTIONS = (
    click.option(
        "--quantize",
        metavar="|".join(MODES),
        shell_complete=words(MODES),
        help="Quantize what is left to 8 bits: qdq finds the ranges of activations on the data, "
        "dynamic at each run. Alone, nothing is pruned.",
    ),
    click.option(
        "--per-tensor",
        is_flag=True,
        help="One scale for each quantized weight. [default: one for each channel]",
    ),
    click.option(
        "--symmetric",
        is_flag=True,
        help="Quantize activations to int8 around 0, as TensorRT wants them. [default: uint8]",
    ),
    click.option(
        "--no-quantize",
        multiple=True,
        metavar="PATTERN",
        shell_complete=names_in_model(patterns),
        help="Leave in floating point what matching nodes compute; the pattern is tried as that "
        "of --ignore. Repeat it for more.",
    ),
)


def quantize_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--quantize` and what goes with it."""
    return all_of(command, *_OPTIONS)


def quantize_of(options: Mapping[str, Any]) -> Quantize | None:
    """The pass that the options ask for; None without `--quantize`.

    Args:
        options: the command's options, with `seed`.

    Raises:
        UsageError: an option makes no sense, or is of use only with `--quantize`.
    """
    if options["quantize"] is None:
        for name in ("per_tensor", "symmetric", "no_quantize"):
            if options[name]:
                raise UsageError(
                    f"--{name.replace('_', '-')} is of use only with --quantize",
                    hint="say --quantize qdq, or dynamic",
                )
        return None
    return Quantize(
        mode=options["quantize"],
        per_channel=not options["per_tensor"],
        symmetric=options["symmetric"],
        ignore=options["no_quantize"],
        seed=options["seed"],
    )
