"""Markup: what is not markup is escaped."""

from onnxprune.reports.html.markup import Markup, code, element, fact_list, join, table
from tests.reports.html.records import HOSTILE


def test_text_and_attributes_are_escaped() -> None:
    made = element("p", "<b>", title='"a" & <b>')
    assert made == '<p title="&quot;a&quot; &amp; &lt;b&gt;">&lt;b&gt;</p>'


def test_markup_is_not_escaped_twice() -> None:
    assert element("p", element("b", "&")) == "<p><b>&amp;</b></p>"
    assert join(["<", Markup("<br>")]) == "&lt;<br>"


def test_attributes_have_the_names_that_html_gives_them() -> None:
    made = element("input", class_="a", aria_label="b", data_x=1, hidden="", title=None)
    assert made == '<input class="a" aria-label="b" data-x="1" hidden>'


def test_a_hostile_name_leaves_no_markup_behind() -> None:
    for made in (code(HOSTILE), table(HOSTILE, [HOSTILE], [[HOSTILE, HOSTILE]])):
        assert "<img" not in made
        assert "</script" not in made


def test_bytes_that_are_no_text_do_not_stop_the_page() -> None:
    assert element("p", b"\xff".decode("utf-8", "surrogateescape")).encode() == b"<p>?</p>"


def test_facts_without_a_value_are_left_out() -> None:
    assert fact_list({"a": "1", "b": ""}) == "<dl><dt>a<dd>1</dl>"
    assert fact_list({"b": ""}) == ""
