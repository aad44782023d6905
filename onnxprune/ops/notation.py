"""The signature notation: one einops-like line for each operator.

    x[n, (g i), *s], w[(g o), i, *k], b[(g o)]? -> y[n, (g o), *t]

- A name and its axes stand for one operand, in the operator's order; ``?`` marks an optional one.
- A letter is a dim; the same letter means the same indices everywhere in the line.
- ``(a b)`` is a row-major product, outermost first.
- ``(a b + c)`` puts ``(a b)`` and ``c`` end to end, as fused projections do; both nest.
- A number is a dim of that many parts that the operator tells apart by their place (the gates of
  an LSTM, ``(4 h)``); it is opaque.
- ``*a`` is any number of axes, aligned from the right as broadcasting does; at most one in an
  operand.
- ``a!`` marks a letter that is normalised or reduced over, on the operand that it is reduced on:
  the operator's value depends on which indices there are (mean, variance, softmax, maximum).
- ``#a`` marks an opaque letter: its index means a place or a value, so it is never pruned.
- ``~a`` marks a letter that the operator does not look along: it may be pruned freely.

An axis of size 1 where its letter is larger broadcasts and couples nothing. A letter that appears
on a single operand and is neither reduced (``!``) nor part of another operand is private (a kernel,
a spatial extent) and opaque too, unless it is marked ``~``.

Two names of operands mean something: a ``bias`` is no factor of a product, and a ``scale`` makes
its letters as weights do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod

_OPERAND = re.compile(r"\s*(\w+)\[([^\]]*)\](\?)?\s*(?:,|$)")
_TOKEN = re.compile(r"[()+,]|[^()+,\s]+")
_LETTER = re.compile(r"([#~]?)(\*?)([a-z]\w*|[1-9]\d*)(!?)$")

Product = tuple["str | Axis", ...]
"""Letters, and sums in parentheses, outermost first."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an operand: products put end to end; a star stands alone."""

    terms: tuple[Product, ...]
    star: bool = False

    @property
    def letters(self) -> tuple[str, ...]:
        """Every letter, each once, in the order of first appearance."""
        found: dict[str, None] = {}
        for product in self.terms:
            for factor in product:
                letters = (factor,) if isinstance(factor, str) else factor.letters
                found |= dict.fromkeys(letters)
        return tuple(found)

    def __str__(self) -> str:
        """As in a line."""
        terms = (" ".join(map(str, product)) for product in self.terms)
        return f"({' + '.join(terms)})"

    def size(self, sizes: Mapping[str, int]) -> int:
        """The number of indices, for sizes of the letters."""
        return sum(
            prod(sizes[x] if isinstance(x, str) else x.size(sizes) for x in product)
            for product in self.terms
        )


@dataclass(frozen=True, slots=True)
class Operand:
    """One operand of a signature.

    Attributes:
        name: what the line calls it.
        axes: its axes in order.
        optional: whether it may be absent.
        reduced: letters marked ``!`` on it.
    """

    name: str
    axes: tuple[Axis, ...]
    optional: bool = False
    reduced: frozenset[str] = frozenset()

    @property
    def letters(self) -> frozenset[str]:
        """Every letter on the operand's axes."""
        return frozenset(letter for axis in self.axes for letter in axis.letters)


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed signature line.

    Attributes:
        inputs: operands before the arrow.
        outputs: operands behind it.
        opaque: letters marked ``#``, numbers, and private letters.
        contracted: letters of two inputs or more that no output has (summed away).
        batch: letters that index both factors of a product and its result.
        outer: letters that index one factor of a product and its result.
        added: inputs beside a product that are no factor of it, such as a bias.
    """

    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    opaque: frozenset[str]
    contracted: frozenset[str]
    batch: frozenset[str]
    outer: frozenset[str]
    added: frozenset[int]


@lru_cache(maxsize=4096)
def parse(text: str) -> Signature:
    """Parse a signature line.

    Raises:
        ValueError: the line does not follow the notation.
    """
    left, arrow, right = text.partition("->")
    if not arrow:
        raise ValueError(f"no '->' in signature {text!r}")
    marked: dict[str, set[str]] = {"#": set(), "~": set()}
    inputs, outputs = _operands(left, marked), _operands(right, marked)
    operands = (*inputs, *outputs)
    letters = frozenset[str]().union(*(operand.letters for operand in operands))
    produced = frozenset[str]().union(*(operand.letters for operand in outputs))
    reduced = frozenset[str]().union(*(operand.reduced for operand in operands))
    numbers = frozenset(x for x in letters if x.isdigit())
    private = {x for x in letters if sum(x in o.letters for o in operands) == 1}
    contracted = frozenset(
        x for x in letters - produced - reduced - numbers if sum(x in o.letters for o in inputs) > 1
    )
    is_factor = [
        bool(o.name != "bias" and contracted and (o.letters & contracted or o.reduced))
        for o in inputs
    ]
    factors = [x.letters for x, is_one in zip(inputs, is_factor, strict=True) if is_one]
    indexing = {x: sum(x in factor for factor in factors) for x in produced | reduced}
    # What an operand is reduced over indexes a product of its own, with the operator's state.
    batch = frozenset(x for x, count in indexing.items() if count > 1) - reduced
    return Signature(
        inputs,
        outputs,
        opaque=frozenset(marked["#"] | numbers | private - reduced - marked["~"]),
        contracted=contracted,
        batch=batch,
        outer=frozenset(x for x, count in indexing.items() if count) - batch,
        added=frozenset(i for i, is_one in enumerate(is_factor) if contracted and not is_one),
    )


def _operands(text: str, marked: dict[str, set[str]]) -> tuple[Operand, ...]:
    operands: list[Operand] = []
    position = 0
    text = text.strip()
    while position < len(text):
        match = _OPERAND.match(text, position)
        if match is None:
            raise ValueError(f"cannot read operand at {text[position:]!r}")
        name, axes, optional = match.groups()
        marks = {**marked, "!": set[str]()}
        parsed = _Axes(axes, marks).read()
        if sum(axis.star for axis in parsed) > 1:
            raise ValueError(f"more than one star in {axes!r}")
        operands.append(Operand(name, parsed, bool(optional), frozenset(marks["!"])))
        position = match.end()
    return tuple(operands)


class _Axes:
    """Reads the axes of one operand."""

    def __init__(self, text: str, marks: dict[str, set[str]]) -> None:
        """Prepare to read `text`; letters go where their marks say."""
        self._text = text
        self._tokens = [*_TOKEN.findall(text), ","] if text.strip() else []
        self._marks = marks

    def read(self) -> tuple[Axis, ...]:
        axes: list[Axis] = []
        while self._tokens:
            axes.append(self._axis())
            if self._tokens.pop(0) != ",":
                raise ValueError(f"cannot read axes {self._text!r}")
        return tuple(axes)

    def _axis(self) -> Axis:
        if self._tokens[0] == "(":
            return self._sum()
        word = self._tokens.pop(0)
        return Axis(((self._letter(word, whole=True),),), star="*" in word)

    def _sum(self) -> Axis:
        terms: list[Product] = [()]
        self._tokens.pop(0)
        while (token := self._tokens[0]) not in (")", ","):
            if token == "(":
                terms[-1] += (self._sum(),)
                continue
            self._tokens.pop(0)
            if token == "+":
                terms.append(())
            else:
                terms[-1] += (self._letter(token, whole=False),)
        if self._tokens[0] == ",":
            raise ValueError(f"cannot read axes {self._text!r}")
        self._tokens.pop(0)
        if not all(terms):
            raise ValueError("an axis without letters")
        return Axis(tuple(terms))

    def _letter(self, word: str, *, whole: bool) -> str:
        match = _LETTER.match(word)
        if match is None or (match[2] and not whole):
            raise ValueError(f"cannot read axis {word!r}")
        mark, _, letter, reduced = match.groups()
        if mark:
            self._marks[mark].add(letter)
        if reduced:
            self._marks["!"].add(letter)
        return letter
