"""The dependency graph and its exports."""

from __future__ import annotations

import json
import re
from typing import Any

import networkx as nx
import pytest

from onnxprune.coupling.dependency import dependency_graph, to_dot, to_graphml, to_json
from tests.coupling.models import couple


@pytest.fixture(scope="module")
def graph() -> nx.MultiDiGraph[str]:
    model = couple(
        """
        [conv_a] a = Conv(x, wa)
        [gram] g = Mul(a, a)
        [odd_one] r = Relu(g)
        [conv_c] y = Conv(r, wc)
        """,
        {"wa": (6, 3, 1, 1), "wc": (4, 6, 1, 1)},
    )
    return dependency_graph(model.analysis, model.groups)


def attributes(graph: nx.Graph[str]) -> dict[str, dict[str, Any]]:
    return {key: dict(graph.nodes[key]) for key in graph}


def kinds(graph: nx.MultiDiGraph[str], kind: str) -> dict[str, str]:
    return {key: data["name"] for key, data in graph.nodes(data=True) if data["kind"] == kind}


def edges(graph: nx.MultiDiGraph[str], kind: str) -> set[tuple[str, str, int]]:
    return {
        (graph.nodes[a]["name"], graph.nodes[b]["name"], data.get("index", data.get("axis", -1)))
        for a, b, data in graph.edges(data=True)
        if data["kind"] == kind
    }


def test_operators_values_weights_and_groups_are_nodes(graph: nx.MultiDiGraph[str]) -> None:
    assert list(kinds(graph, "operator").values()) == ["conv_a", "gram", "odd_one", "conv_c"]
    assert set(kinds(graph, "weight").values()) == {"wa", "wc"}
    assert set(kinds(graph, "value").values()) == {"x", "a", "g", "r", "y"}
    assert list(kinds(graph, "group").values()) == ["channel of wa"]
    assert graph.nodes["value:x"]["border"] == "input"
    assert graph.nodes["value:y"]["border"] == "output"
    assert graph.nodes["value:x"]["reason"] == "graph input x, axis 1"
    assert graph.nodes["value:wa"]["shape"] == "6x3x1x1"
    assert graph.nodes["value:wa"]["parameters"] == 18


def test_edges_tell_operands_and_axes(graph: nx.MultiDiGraph[str]) -> None:
    assert edges(graph, "output") == {
        ("conv_a", "a", 0),
        ("gram", "g", 0),
        ("odd_one", "r", 0),
        ("conv_c", "y", 0),
    }
    assert edges(graph, "input") >= {("wa", "conv_a", 1), ("a", "gram", 0), ("a", "gram", 1)}
    assert edges(graph, "member") == {("channel of wa", "wa", 0), ("channel of wa", "wc", 1)}
    assert {b for _, b, _ in edges(graph, "rewrites")} == {"conv_a", "gram", "odd_one", "conv_c"}
    producers = {b: data["producer"] for _, b, data in graph.edges(data=True) if "producer" in data}
    assert producers == {"value:wa": True, "value:wc": False}


def test_attributes_are_plain(graph: nx.MultiDiGraph[str]) -> None:
    tables = [data for _, data in graph.nodes(data=True)]
    tables += [data for _, _, data in graph.edges(data=True)]
    assert {type(value) for data in tables for value in data.values()} <= {str, int, float, bool}


def test_graphml_parses_back(graph: nx.MultiDiGraph[str]) -> None:
    again = nx.parse_graphml(to_graphml(graph), force_multigraph=True)
    assert attributes(again) == attributes(graph)
    assert again.number_of_edges() == graph.number_of_edges()


def test_json_parses_back(graph: nx.MultiDiGraph[str]) -> None:
    data = json.loads(json.dumps(to_json(graph)))
    again: nx.Graph[str] = nx.node_link_graph(data, edges="edges")
    assert attributes(again) == attributes(graph)
    assert again.number_of_edges() == graph.number_of_edges()


def test_dot_has_a_line_for_every_node_and_edge(graph: nx.MultiDiGraph[str]) -> None:
    lines = to_dot(graph).splitlines()
    assert (lines[0], lines[-1]) == ("digraph {", "}")
    statement = re.compile(r'  n\d+( -> n\d+)? \[(\w+="(?:[^"\\]|\\.)*"(, )?)*\];')
    assert all(statement.fullmatch(line) for line in lines[3:-1])
    assert len(lines) == 4 + len(graph) + graph.number_of_edges()
    assert sum("octagon" in line for line in lines) == 1
    assert any("grey85" in line for line in lines)


def test_names_that_formats_cannot_hold() -> None:
    model = couple("h = Conv(x, w1)\ny = Conv(h, w2)", {"w1": (6, 3, 1, 1), "w2": (4, 6, 1, 1)})
    placed = model.analysis.placed[0]
    object.__setattr__(placed.node, "name", 'a "quoted" \\ bell \u0007')
    graph = dependency_graph(model.analysis, model.groups)
    assert '\\"quoted\\" \\\\ bell �' in to_dot(graph)
    assert len(nx.parse_graphml(to_graphml(graph), force_multigraph=True)) == len(graph)
