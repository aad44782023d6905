"""Reading signature lines."""

from __future__ import annotations

import pytest

from onnxprune.ops.notation import Axis, Operand, parse

CONV = "x[n, (g i), *s], w[(g o), i, *k], b[(g o)]? -> y[n, (g o), *t]"


def test_operands_and_their_axes() -> None:
    line = parse(CONV)
    axes = (Axis((("n",),)), Axis((("g", "i"),)), Axis((("s",),), star=True))
    assert line.inputs[0] == Operand("x", axes)
    assert [operand.optional for operand in line.inputs] == [False, False, True]
    assert line.inputs[1].letters == {"g", "o", "i", "k"}
    assert [operand.name for operand in line.outputs] == ["y"]


def test_roles_follow_from_where_a_letter_stands() -> None:
    line = parse(CONV)
    assert line.contracted == {"i"}
    assert line.batch == {"g"}
    assert line.outer == {"n", "o"}
    assert line.opaque == {"s", "k", "t"}
    assert not any(operand.reduced for operand in line.inputs)


def test_an_operator_without_sums_has_no_factors() -> None:
    line = parse("a[*a], b[*a] -> y[*a]")
    assert not (line.contracted | line.batch | line.outer | line.opaque)


def test_a_number_is_a_dim_of_so_many_places() -> None:
    line = parse("w[(4 h), i], r[(4 h), j], x[i, j] -> y[h]")
    assert line.inputs[0].axes[0] == Axis((("4", "h"),))
    assert line.opaque == {"4"}
    assert line.contracted == {"i", "j"}


def test_a_letter_is_reduced_on_the_operand_that_marks_it() -> None:
    line = parse("x[b, i], w[h, i], r[h, h!], bias[h] -> y[b, h]")
    assert [set(operand.reduced) for operand in line.inputs] == [set(), set(), {"h"}, set()]
    assert line.outer == {"b", "h"}
    assert not line.batch
    assert line.added == {3}


def test_sums_and_products_nest() -> None:
    line = parse("x[b, (h (2 r! + f)), (h d + k)] -> y[b]")
    rotated = Axis((("2", "r"), ("f",)))
    assert line.inputs[0].axes == (
        Axis((("b",),)),
        Axis((("h", rotated),)),
        Axis((("h", "d"), ("k",))),
    )
    assert line.inputs[0].axes[1].letters == ("h", "2", "r", "f")
    assert line.inputs[0].reduced == {"r"}
    assert str(line.inputs[0].axes[1]) == "(h (2 r + f))"
    assert line.inputs[0].axes[1].size({"h": 3, "2": 2, "r": 5, "f": 4}) == 42


def test_a_bias_is_no_factor() -> None:
    line = parse("x[b, i], w[i, (h d!)], bias[(h d!)] -> y[b, h]")
    assert line.added == {2}
    assert line.outer == {"b", "h", "d"}


def test_a_scalar_has_no_axes() -> None:
    assert parse("x[*a], low[]? -> y[*a]").inputs[1] == Operand("low", (), optional=True)


@pytest.mark.parametrize(
    ("text", "reduced", "opaque"),
    [
        ("x[a, b!] -> y[a]", {"b"}, set[str]()),
        ("x[a, b!] -> y[a, b]", {"b"}, set[str]()),
        ("x[(g c!), *s!] -> y[(g c), *s]", {"c", "s"}, set[str]()),
        ("x[a, b] -> y[a]", set[str](), {"b"}),
        ("x[#a, b] -> y[a, b]", set[str](), {"a"}),
        ("x[#*a] -> y[*a]", set[str](), {"a"}),
        ("x[#a!] -> y[a]", {"a"}, {"a"}),
        ("x[a], like[~b] -> y[a]", set[str](), set[str]()),
        ("x[a], like[~*b] -> y[a, c]", set[str](), {"c"}),
    ],
)
def test_marks_say_what_is_reduced_and_what_is_opaque(
    text: str, reduced: set[str], opaque: set[str]
) -> None:
    line = parse(text)
    assert frozenset[str]().union(*(operand.reduced for operand in line.inputs)) == reduced
    assert set(line.opaque) == opaque


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x[a], y[a]", "no '->'"),
        ("x[a] -> y(a)", "cannot read operand"),
        ("x[a y[a] -> z[a]", "cannot read"),
        ("x[A] -> y[A]", "cannot read axis 'A'"),
        ("x[a?] -> y[a]", "cannot read axis 'a\\?'"),
        ("x[!a] -> y[a]", "cannot read axis '!a'"),
        ("x[(a *b)] -> y[a]", "cannot read axis '\\*b'"),
        ("x[(0 a)] -> y[a]", "cannot read axis '0'"),
        ("x[*a, *b] -> y[*a]", "more than one star"),
        ("x[a] -> y[()]", "an axis without letters"),
        ("x[(a +)] -> y[a]", "an axis without letters"),
        ("x[a + b] -> y[a]", "cannot read axes"),
        ("x[(a b] -> y[a]", "cannot read axes"),
        ("x[(a, b)] -> y[a]", "cannot read axes"),
        ("x[a, (b] -> y[a]", "cannot read axes"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(text)
