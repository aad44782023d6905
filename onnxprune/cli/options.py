"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from onnxprune.cli.console import output
from onnxprune.cli.reporting import report_option
from onnxprune.cli.values import files, inputs, kinds, names_in_model, patterns, ports, words
from onnxprune.coupling.groups import DEFAULT_KINDS, KINDS
from onnxprune.errors import UsageError, suggestion
from onnxprune.runtime.providers import PROVIDER_NAMES
from onnxprune.verify.evaluation import METRICS

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Shapes = dict[str, tuple[int, ...]]


def _shapes(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> Shapes:
    """Read `NAME:1,3,224,224`."""
    shapes: Shapes = {}
    for text in values:
        name, _, sizes = text.rpartition(":")
        parts = [part.strip() for part in sizes.split(",")]
        if not name or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise click.BadParameter(f"{text!r} is not NAME:1,3,224,224", ctx, param)
        if name in shapes:
            raise click.BadParameter(f"input {name!r} is given twice", ctx, param)
        shapes[name] = tuple(map(int, parts))
    return shapes


def number_or(word: str) -> Callable[..., int | str | None]:
    """A callback that reads a number from 1 on, or a word that stands for something else.

    Args:
        word: the word.
    """

    def read(ctx: click.Context, param: click.Parameter, text: str | None) -> int | str | None:
        if text is None or text == word:
            return text
        if not text.isdecimal() or int(text) < 1:
            raise click.BadParameter(
                f"{text!r} is neither a number from 1 on nor {word}", ctx, param
            )
        return int(text)

    return read


input_shape_option: Decorator = click.option(
    "--input-shape",
    "input_shapes",
    metavar="NAME:D,D,…",
    multiple=True,
    callback=_shapes,
    shell_complete=names_in_model(inputs),
    help="Shape of a dynamic input; repeat it for each.",
)
seed_option: Decorator = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of random inputs."
)
kinds_option: Decorator = click.option(
    "--kinds",
    multiple=True,
    metavar="KIND,…",
    shell_complete=kinds,
    help=f"Kinds of groups to prune: {', '.join(DEFAULT_KINDS)} (the default ones), "
    f"{', '.join(kind for kind in KINDS if kind not in DEFAULT_KINDS)}, all; +KIND adds to the "
    "default ones.",
)


ignore_option: Decorator = click.option(
    "--ignore",
    multiple=True,
    metavar="PATTERN",
    shell_complete=names_in_model(patterns),
    help="Leave alone what matching nodes read and make; the pattern is tried on names of nodes "
    "and values, on operator types and on bodies of control flow. Repeat it for more.",
)


allow_io_option: Decorator = click.option(
    "--allow-io",
    multiple=True,
    metavar="NAME:AXIS",
    shell_complete=names_in_model(ports),
    help="Allow to prune this axis of a graph input or output, such as the heads of a key cache; "
    "NAME may be a pattern. Repeat it for more.",
)


_TARGETS = {
    "macs": ("0.5|2.1G", "Multiply-accumulates of one sample, at most"),
    "params": ("0.5|5M", "Parameters, at most"),
    "size": ("0.5|5MB", "Size of the file, at most"),
    "memory": ("0.5|20MB", "Activations held at once for one sample, at most"),
    "latency": ("0.6|8ms", "Latency, measured with --provider and --threads, at most"),
}


def targets_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--target-macs` and its kin."""
    return all_of(
        command,
        *(
            click.option(f"--target-{name}", metavar=metavar, help=f"{text}; a share below 1.")
            for name, (metavar, text) in _TARGETS.items()
        ),
    )


def chosen_targets(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The budgets that were given, as `RemoveChannels.targets` takes them."""
    return tuple(
        f"{name}={options[f'target_{name}']}"
        for name in _TARGETS
        if options[f"target_{name}"] is not None
    )


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del ctx, param
    output().as_json = output().as_json or value


def _set_quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    output().quiet = output().quiet or value
    _check_loudness(ctx)


def _set_verbose(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    output().verbose = output().verbose or value
    _check_loudness(ctx)


def _check_loudness(ctx: click.Context) -> None:
    if output().quiet and output().verbose:
        raise click.UsageError("--quiet and --verbose exclude each other", ctx)


json_option: Decorator = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_set_json,
    help="Write one JSON document to stdout; all else goes to stderr.",
)
quiet_option: Decorator = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=_set_quiet,
    help="Show errors only; documents and files are written all the same.",
)
verbose_option: Decorator = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_set_verbose,
    help="Show on stderr what is done and how long it takes, and where an internal error happened.",
)


def measuring(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--provider` and `--threads`."""
    return all_of(
        command,
        click.option(
            "--provider",
            default="cpu",
            show_default=True,
            metavar="NAME[:KEY=VALUE,…]",
            shell_complete=words(PROVIDER_NAMES),
            help="Execution provider that latency is measured on, such as cpu or cuda, with "
            "options: tensorrt:trt_fp16_enable=1.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=0),
            default=1,
            show_default=True,
            help="Threads of the latency measurement; 0 takes all cores.",
        ),
    )


strict_option: Decorator = click.option(
    "--strict-provider",
    "strict",
    is_flag=True,
    help="Refuse if any node falls back from --provider to another provider.",
)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--data` and what goes with it; see `onnxprune.cli.judging`."""
    return all_of(
        command,
        click.option(
            "--data",
            metavar="SOURCE",
            shell_complete=files,
            help="Measure on this data: an .npz, an .npy, a folder, or module:function.",
        ),
        click.option("--labels", metavar="NAME", help="Array of the data that holds the labels."),
        click.option(
            "--samples",
            metavar="N|all",
            callback=number_or("all"),
            shell_complete=words(["all"]),
            help="Samples to use, drawn by --seed; of a function, the first. [default: 512]",
        ),
        click.option(
            "--batch",
            metavar="N|none",
            callback=number_or("none"),
            shell_complete=words(["none"]),
            help="Samples of a batch; none where the leading axis is no batch. [default: 32]",
        ),
        click.option(
            "--metric",
            multiple=True,
            metavar="NAME",
            shell_complete=words(METRICS),
            help="top1 (default with --labels), top5, cosine, agreement, or module:function. "
            "Repeat it for more.",
        ),
        click.option(
            "--scores",
            metavar="OUTPUT",
            help="Output that holds the class scores, where it is not the only one that can.",
        ),
    )


def delivering(command: Callable[..., Any]) -> Callable[..., Any]:
    """What commands share that write a pruned model."""
    return all_of(
        command,
        data_options,
        click.option(
            "--calibration",
            metavar="SOURCE",
            shell_complete=files,
            help="Score channels and repair on this data, and only judge on --data. [default: "
            "--data serves for both]",
        ),
        click.option(
            "--repair/--no-repair",
            "repair",
            default=None,
            help="Fit the layers that are left to what the original computes. [default: with "
            "data; --repair without data takes random inputs]",
        ),
        click.option(
            "--sparse-storage",
            is_flag=True,
            help="Write weights without their zeros where that makes the file smaller; no runtime "
            "is faster for it.",
        ),
        input_shape_option,
        click.option("--no-verify", is_flag=True, help="Write the model without proof."),
        click.option("--no-benchmark", is_flag=True, help="Do not measure latency."),
        measuring,
        strict_option,
        report_option,
        click.option("--in-place", is_flag=True, help="Allow to replace the input model."),
        seed_option,
        json_option,
        quiet_option,
        verbose_option,
    )


def parse_kinds(given: Iterable[str]) -> tuple[str, ...] | None:
    """Kinds of groups, comma separated or repeated.

    `all` takes every kind; names that begin with ``+`` join the default ones.

    Args:
        given: the values of the option; None is returned where there are none.

    Raises:
        UsageError: there is no such kind.
    """
    names = [name.strip() for value in given for name in value.split(",") if name.strip()]
    if not names:
        return None
    if "all" in names:
        return KINDS
    unknown = [name for name in names if name.lstrip("+") not in KINDS]
    if unknown:
        raise UsageError(
            f"there is no kind {unknown[0]!r} of coupling groups",
            where="--kinds",
            hint=f"{suggestion(unknown[0].lstrip('+'), KINDS)} choose from {', '.join(KINDS)}, "
            "or all; +KIND adds to the default ones".strip(),
        )
    added = [name for name in names if name.startswith("+")]
    if added and len(added) < len(names):
        raise UsageError(
            "kinds are either all listed or all added",
            where="--kinds",
            hint="write --kinds channel,head or --kinds +head_dim",
        )
    wanted = {name.lstrip("+") for name in names}.union(DEFAULT_KINDS if added else ())
    return tuple(kind for kind in KINDS if kind in wanted)


def all_of(command: Callable[..., Any], *decorators: Decorator) -> Callable[..., Any]:
    """A command with several options, which its help lists in this order."""
    for decorate in reversed(decorators):
        command = decorate(command)
    return command
