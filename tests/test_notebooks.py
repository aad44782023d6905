"""What models, plans, results and dependency graphs show of themselves."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

import onnxprune as op
from onnxprune.notebook import ROW_LIMIT, html_table
from tests.cli.conftest import MLP
from tests.conftest import FIXTURES
from tests.texts import with_weights


class Cells(HTMLParser):
    """The texts of all cells and captions, and the tags that are open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag in ("td", "th", "caption"):
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


def shown(thing: Any) -> list[str]:
    cells = Cells(thing._repr_html_())
    assert cells.open == []
    return cells.texts


@pytest.fixture(scope="module")
def result() -> op.Result:
    pruned = op.prune(op.load(FIXTURES / "digits_cnn.ts.onnx"), 0.3)
    pruned.verify()
    return pruned


def test_a_model(result: op.Result) -> None:
    assert repr(result.original) == (
        "<Model 'main_graph': 42 operators, 197,450 parameters, opset 17>"
    )
    assert shown(result.original)[4:7] == ["input", "image", "float[batch,1,8,8]"]


def test_a_result(result: op.Result) -> None:
    after = f"{result.model.parameters:,}"
    assert repr(result) == f"<Result: 197,450 to {after} parameters, equivalence passed>"
    texts = shown(result)
    assert texts[:7] == [
        "Equivalence: passed", "", "original", "pruned", "parameters", "197,450", after
    ]  # fmt: skip
    assert "remove-channels" in texts
    assert "not checked" in repr(op.prune(op.load(with_weights(MLP)), 0.5))


def test_a_plan(result: op.Result) -> None:
    weights = len(result.plan.initializers)
    assert re.fullmatch(
        rf"<Plan for [0-9a-f]{{12}}: {weights} weights cut along \d+ axes, 0 repaired>",
        repr(result.plan),
    )
    texts = shown(result.plan)
    assert texts[-1] == "and 30 more"
    assert len(texts) == 1 + 3 + 3 * ROW_LIMIT + 1


def test_a_plan_that_keeps_blocks() -> None:
    plan = op.Plan.from_json(
        {
            "schema": 1,
            "model_sha256": "ab" * 32,
            "initializers": {"w": {"1": {"by": 0, "blocks": [[0, 2], [1, 3]]}}},
            "settings": {},
        }
    )
    assert shown(plan)[-3:] == ["w", "1", "4 in 2 blocks of axis 0"]


def test_a_dependency_graph(result: op.Result) -> None:
    graph = op.dependency_graph(result.original)
    groups = [data for _, data in graph.nodes(data=True) if data["kind"] == "group"]
    assert f" {len(groups)} groups>" in repr(graph)
    texts = shown(graph)
    assert [int(text.replace(",", "")) for text in texts[10::5]] == sorted(
        (group["parameters"] for group in groups), reverse=True
    )
    assert type(graph.copy()) is type(graph)


def test_texts_are_escaped() -> None:
    table = html_table("<b>", ("&",), [["<script>alert(1)</script>"]])
    assert "<script>" not in table
    assert Cells(table).texts == ["<b>", "&", "<script>alert(1)</script>"]


def test_names_of_a_model_are_escaped() -> None:
    proto = with_weights(MLP)
    proto.graph.name = "<img src=x>"
    assert "<img" not in op.load(proto)._repr_html_()
