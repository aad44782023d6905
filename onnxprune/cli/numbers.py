"""Numbers on the command line."""

from __future__ import annotations

import click

from onnxprune.passes.select.targets import fraction


class Fraction(click.ParamType):
    """A fraction as people write it, such as ``0.3`` or ``30%``; several with commas between."""

    name = "fraction"

    def __init__(self, *, several: bool = False) -> None:
        """Read one, or a tuple of those that there are, in ascending order."""
        self.several = several

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[float, ...]:
        """Read the text; what the library says of numbers out of range holds here, too."""
        text, example = str(value), "0.25,0.5" if self.several else "0.3 or 30%"
        try:
            if self.several:
                return tuple(sorted({fraction(part) for part in text.split(",")}))
            return fraction(text)
        except ValueError:
            self.fail(f"{text!r} is no fraction; write {example}", param, ctx)
