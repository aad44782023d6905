"""Charts: their geometry, and their text for those who do not see them."""

import re
from xml.etree import ElementTree

import pytest

from onnxprune.reports.html.charts import (
    WIDTH,
    Axes,
    columns,
    figure,
    histogram,
    lines,
    nice_end,
    share_bar,
)

AXES = Axes("Title", "What it says.", "x", "y", "{:g}".format, "{:g}".format)


def numbers(svg: str, kind: str, key: str) -> list[float]:
    """An attribute of all elements of a class."""
    return [
        float(e.get(key, "")) for e in ElementTree.fromstring(svg).iter() if e.get("class") == kind
    ]


def test_columns_are_as_high_as_their_numbers() -> None:
    svg = columns(AXES, ["a", "b"], [4, 2], [1, None])
    full, half = numbers(svg, "before", "height")
    assert full == pytest.approx(2 * half)
    assert numbers(svg, "after", "height") == [pytest.approx(full / 4)]
    assert "b: 2 → gone" in svg


def test_many_columns_are_one_shape_of_the_same_form() -> None:
    few, many = (columns(AXES, ["a"] * n, [4] * n, [1] * n) for n in (200, 201))
    (height,) = set(numbers(few, "before", "height"))
    shape = re.search(r'<path d="M\S+ (\S+)V(\S+?)h', many)
    assert shape is not None
    assert float(shape[1]) - float(shape[2]) == pytest.approx(height)
    assert many.count("<path") == 2


def test_a_histogram_is_as_wide_as_its_edges() -> None:
    svg = histogram(AXES, [0, 1, 3, 4], [2, 4, 0])
    narrow, wide = numbers(svg, "after", "width")
    assert wide == pytest.approx(2 * narrow, rel=0.01)
    assert numbers(svg, "after", "height") == sorted(numbers(svg, "after", "height"))


def test_lines_stay_inside_and_mark_the_limit() -> None:
    svg = lines(AXES, {"one": [(0, 0), (1, 5)], "two": [(0.5, 1)]}, limit=2)
    drawn = " ".join(re.findall(r'points="([^"]*)"', svg)).split()
    assert len(drawn) >= 3
    for x, y in (map(float, point.split(",")) for point in drawn):
        assert 0 < x < WIDTH
        assert 0 < y < 200
    assert numbers(svg, "limit", "x1")[0] > WIDTH / 2
    assert "limit 2" in svg


def test_a_single_point_is_drawn() -> None:
    assert 'points="262.0,' in lines(AXES, {"one": [(3, 0)]})


def test_a_chart_has_a_title_a_description_and_a_table() -> None:
    made = figure(AXES, histogram(AXES, [0, 1], [3]), ("x", "y"), [("0 to 1", "3")])
    page = ElementTree.fromstring(made)
    assert page.findtext(".//svg/title") == "Title"
    assert page.findtext(".//svg/desc") == "What it says."
    assert [cell.text for cell in page.iterfind(".//details//tbody/tr/*")] == ["0 to 1", "3"]


@pytest.mark.parametrize(("value", "end"), [(0, 1), (1, 1), (7, 8), (0.13, 0.16), (110, 120)])
def test_axes_end_at_round_numbers(value: float, end: float) -> None:
    assert nice_end(value) == pytest.approx(end)


@pytest.mark.parametrize(("value", "end"), [(0, 4), (3, 4), (9, 12), (13, 16), (90, 100)])
def test_counts_have_whole_ticks(value: float, end: float) -> None:
    assert nice_end(value, whole=True) == end


@pytest.mark.parametrize(("part", "length"), [(0.25, 25), (-1, 0), (3, 100)])
def test_shares_stay_within_their_track(part: float, length: float) -> None:
    assert numbers(share_bar(part), "after", "width") == [length]
