"""Rows of a graph: by longest path, whatever cycles there are."""

from onnxprune.reports.html.layout import ROW, rows


def test_a_node_stands_below_all_that_lead_to_it() -> None:
    assert rows("abcd", {"a": "bd", "b": "c", "c": "d"}) == [["a"], ["b"], ["c"], ["d"]]


def test_residual_blocks_stand_side_by_side() -> None:
    blocks = {"in": ["stream"], "stream": ["a", "b", "out"], "a": ["stream"], "b": ["stream"]}
    assert rows(["stream", "a", "b", "in", "out"], blocks) == [
        ["in"],
        ["stream"],
        ["a", "b", "out"],
    ]


def test_edges_to_nodes_that_are_not_there_and_to_oneself_do_not_count() -> None:
    assert rows([1, 2], {1: [1, 9], 2: [1]}) == [[2], [1]]


def test_wide_ranks_go_on_below() -> None:
    made = rows(range(2 * ROW + 1), {})
    assert [len(row) for row in made] == [ROW, ROW, 1]


def test_nothing_makes_no_rows() -> None:
    assert rows([], {}) == []


def test_long_chains_need_no_deep_stack() -> None:
    made = rows(range(5000), {n: [n + 1] for n in range(4999)})
    assert made == [[n] for n in range(5000)]


def test_nodes_of_a_row_come_in_the_order_of_what_leads_to_them() -> None:
    assert rows("abxy", {"a": "y", "b": "x"}) == [["a", "b"], ["y", "x"]]
