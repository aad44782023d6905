"""The class of all commands.

Many options stand under headings, in the order of need, and `--verbose` shows the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

import click

from onnxprune.cli.console import logged, output

_FEW = 12
"""So many options need no headings."""
_REST = "More"
_HEADINGS = {
    "How much goes": (
        "--channels",
        "--target-macs",
        "--target-params",
        "--target-size",
        "--target-memory",
        "--target-latency",
        "--blocks",
        "--lossless",
        "--threshold",
        "--ratio",
        "--groups",
    ),
    "Your data": (
        "--data",
        "--labels",
        "--metric",
        "--scores",
        "--calibration",
        "--samples",
        "--batch",
    ),
    "What goes": (
        "--criterion",
        "--scope",
        "--kinds",
        "--ignore",
        "--allow-io",
        "--round-to",
    ),
    "Repair, and going there in steps": ("--repair", "--steps", "--schedule"),
    "Zeros": (
        "--sparsity",
        "--pattern",
        "--zero-below",
        "--sparsity-method",
        "--sparse-storage",
    ),
    "Quantization": ("--quantize", "--per-tensor", "--symmetric", "--no-quantize"),
    "A pipeline of your own": ("--passes", "--verify-each"),
    "Inputs": ("--input-shape", "--seed"),
    "Measurement and proof": (
        "--provider",
        "--threads",
        "--strict-provider",
        "--budget",
        "--optimization",
        "--profile",
        "--no-benchmark",
        "--no-verify",
        "--tolerance",
        "--jobs",
    ),
    "What is written and said": (
        "--plan",
        "--report",
        "--plot",
        "--in-place",
        "--json",
        "--quiet",
        "--verbose",
        "--help",
    ),
}
"""Options by heading, for every command alike."""


class Command(click.Command):
    """A command that shows its options under headings where it has many, and the log if asked."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Args:
            ctx: the command's context.
        """
        with logged() if output().verbose else nullcontext():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options.

        Args:
            ctx: the command's context.
            formatter: what to write them to.
        """
        params = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        if len(params) <= _FEW:
            super().format_options(ctx, formatter)
            return
        left = list(params)
        for heading, names in (*_HEADINGS.items(), (_REST, ())):
            chosen = _chosen(left, names) if names else left
            left = [param for param in left if param not in chosen]
            rows = [row for param in chosen if (row := param.get_help_record(ctx)) is not None]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


def _chosen(params: Iterable[click.Option], names: tuple[str, ...]) -> list[click.Option]:
    """The options of those names, in the order of the names."""
    by_name = {name: param for param in params for name in param.opts}
    return [by_name[name] for name in names if name in by_name]


command: Callable[..., Callable[..., Any]] = partial(click.command, cls=Command)
"""`click.command` with this class."""
