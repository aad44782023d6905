"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from onnxprune.cli.console import output
from onnxprune.coupling.groups import DEFAULT_KINDS, KINDS
from onnxprune.errors import UsageError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Shapes = dict[str, tuple[int, ...]]


class _Shape(click.ParamType):
    """`NAME:1,3,224,224`."""

    name = "NAME:D,D,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """Read one shape.

        Args:
            value: the text; what was read already is handed back.
            param: the option.
            ctx: its context.
        """
        if isinstance(value, tuple):
            return value
        name, colon, sizes = str(value).rpartition(":")
        parts = sizes.split(",")
        if not colon or not name or not all(part.strip().isdecimal() for part in parts):
            self.fail(f"{value!r} is not NAME:1,3,224,224", param, ctx)
        shape = tuple(int(part) for part in parts)
        if 0 in shape:
            self.fail(f"{value!r} has an axis of size 0", param, ctx)
        return name, shape


class _RoundTo(click.ParamType):
    """A multiple, or `auto`."""

    name = "N|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Read it.

        Args:
            value: the text.
            param: the option.
            ctx: its context.
        """
        text = str(value)
        if text == "auto":
            return text
        if not text.isdecimal() or int(text) < 1:
            self.fail(f"{text!r} is neither a number from 1 on nor auto", param, ctx)
        return int(text)


ROUND_TO = _RoundTo()
"""Type of `--round-to`."""


def _shapes(
    ctx: click.Context, param: click.Parameter, value: Sequence[tuple[str, tuple[int, ...]]]
) -> Shapes:
    shapes = dict(value)
    if len(shapes) < len(value):
        raise click.BadParameter("an input is given twice", ctx, param)
    return shapes


input_shape_option: Decorator = click.option(
    "--input-shape",
    "input_shapes",
    type=_Shape(),
    multiple=True,
    callback=_shapes,
    help="Shape of a dynamic input; repeat it for each.",
)
seed_option: Decorator = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of random inputs."
)
verbose_option: Decorator = click.option(
    "--verbose", is_flag=True, expose_value=False, help="Show where an internal error happened."
)


kinds_option: Decorator = click.option(
    "--kinds",
    multiple=True,
    metavar="KIND,…",
    help=f"Kinds of groups to prune: {', '.join(DEFAULT_KINDS)} (the default ones), "
    f"{', '.join(kind for kind in KINDS if kind not in DEFAULT_KINDS)}, all; +KIND adds to the "
    "default ones.",
)


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del ctx, param
    output().as_json = output().as_json or value


def _set_quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del ctx, param
    output().quiet = output().quiet or value


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
    help="Show errors only.",
)


def measuring(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--provider` and `--threads`."""
    return _all(
        command,
        click.option(
            "--provider",
            default="cpu",
            show_default=True,
            metavar="NAME",
            help="Execution provider that latency is measured on, such as cpu or cuda.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=0),
            default=1,
            show_default=True,
            help="Threads of the latency measurement; 0 takes all cores.",
        ),
    )


def delivering(command: Callable[..., Any]) -> Callable[..., Any]:
    """What commands share that write a pruned model."""
    return _all(
        command,
        input_shape_option,
        click.option("--no-verify", is_flag=True, help="Write the model without proof."),
        click.option("--no-benchmark", is_flag=True, help="Do not measure latency."),
        measuring,
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
            hint=f"choose from {', '.join(KINDS)}, or all; +KIND adds to the default ones",
        )
    added = [name for name in names if name.startswith("+")]
    if added and len(added) < len(names):
        raise UsageError(
            "kinds are either all listed or all added",
            where="--kinds",
            hint="write --kinds channel,head or --kinds +head_dim",
        )
    wanted = {name.lstrip("+") for name in names} | (set(DEFAULT_KINDS) if added else set())
    return tuple(kind for kind in KINDS if kind in wanted)


def _all(command: Callable[..., Any], *decorators: Decorator) -> Callable[..., Any]:
    for decorate in reversed(decorators):
        command = decorate(command)
    return command
