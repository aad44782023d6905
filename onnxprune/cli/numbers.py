"""Numbers on the command line: types of options, for click takes functions as such."""

from __future__ import annotations

import click

from onnxprune.passes.select.targets import fraction


def one_fraction(text: str) -> float:
    """Read a fraction as people write it, such as ``0.3`` or ``30%``."""
    try:
        return fraction(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no fraction; write 0.3 or 30%") from None


def fractions(text: str) -> tuple[float, ...]:
    """Read fractions with commas between them; in ascending order, each once."""
    return tuple(sorted({one_fraction(part) for part in text.split(",")}))
