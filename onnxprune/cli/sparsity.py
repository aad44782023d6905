"""`--sparsity`, `--pattern` and what goes with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from onnxprune.cli.numbers import one_fraction
from onnxprune.cli.options import all_of
from onnxprune.cli.values import words
from onnxprune.cost.sparsity import PATTERNS
from onnxprune.errors import UsageError
from onnxprune.passes import Sparsify
from onnxprune.passes.sparsify.methods import METHODS
from onnxprune.passes.sparsify.sparsify import SCOPES

_AMOUNTS = {"sparsity": "sparsity", "pattern": "pattern", "zero_below": "below"}
"""Options that say how many weights become zero, with the names that the pass has for them."""
_OPTIONS = (
    click.option(
        "--sparsity",
        type=one_fraction,
        metavar="S",
        help="Make the fraction S of the weights zero, in [0, 1), of each layer or with --scope "
        "global of all together. Shapes stay, but for channels that become zero as a whole.",
    ),
    click.option(
        "--pattern",
        metavar="N:M",
        shell_complete=words([f"{most}:{of}" for most, of in PATTERNS]),
        help="Keep N of each M weights in a row, such as 2:4; the row runs along the channels "
        "that a layer sums over, as TensorRT wants it.",
    ),
    click.option(
        "--zero-below",
        type=float,
        metavar="T",
        help="Make weights of a magnitude less than T zero.",
    ),
    click.option(
        "--sparsity-method",
        metavar="|".join(METHODS),
        shell_complete=words(METHODS),
        help="What says which weights become zero. [default: sparsegpt with --data, else "
        "magnitude]",
    ),
)


def sparsity_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--sparsity` and what goes with it."""
    return all_of(command, *_OPTIONS)


def sparsify_of(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Options of `Sparsify`; None where no weight is to become zero.

    Args:
        options: the command's options, with `scope`.

    Raises:
        UsageError: an option makes no sense, or is of use only with others.
    """
    given = {name: options[name] for name in _AMOUNTS if options[name] is not None}
    if not given:
        if options["sparsity_method"] is not None:
            raise UsageError(
                "--sparsity-method is of use only with --sparsity or --pattern",
                hint="say how many weights become zero: --sparsity 0.7, or --pattern 2:4",
            )
        return None
    if len(given) > 1:
        first, second = (name.replace("_", "-") for name in [*given][:2])
        raise UsageError(
            f"--{first} and --{second} exclude each other",
            why="each of them says how many weights become zero",
        )
    wanted = {_AMOUNTS[name]: value for name, value in given.items()}
    if options["sparsity_method"] is not None:
        wanted["method"] = options["sparsity_method"]
    if options["scope"] in SCOPES and "sparsity" in wanted:
        wanted["scope"] = options["scope"]
    Sparsify(**wanted)  # what makes no sense is said at once
    return wanted
