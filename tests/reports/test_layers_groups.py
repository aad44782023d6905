"""What the record tells of layers and of coupling groups."""

from typing import Any

import pytest

import onnxprune as op
from onnxprune.pipelines.pipeline import Pipeline
from onnxprune.pipelines.result import Result
from onnxprune.reports.record import Record, start_record
from tests.conftest import FIXTURES


def record_of(result: Result) -> Record:
    return start_record(result, 0.0)


@pytest.fixture(scope="module")
def pruned() -> Result:
    return op.prune(FIXTURES / "digits_cnn.ts.onnx", 0.5)


def by_node(layers: list[Any]) -> dict[str, Any]:
    return {layer["node"]: layer for layer in layers}


def test_layers_add_up_to_the_model(pruned: Result) -> None:
    record = record_of(pruned)
    layers = record["layers"]
    assert sum(layer["before"]["macs"] for layer in layers) == record["original"]["macs"]
    assert sum(layer["after"]["macs"] for layer in layers) == record["pruned"]["macs"]
    assert record["pruned"]["macs"] < record["original"]["macs"]


def test_widths_of_layers(pruned: Result) -> None:
    layers = by_node(record_of(pruned)["layers"])
    depthwise = layers["/separable/separable.0/separable.0.0/Conv"]
    assert (depthwise["before"]["inputs"], depthwise["before"]["outputs"]) == (64, 64)
    assert depthwise["after"]["inputs"] == depthwise["after"]["outputs"] < 64
    head = layers["/head/Gemm"]
    assert (head["before"]["inputs"], head["before"]["outputs"]) == (96, 10)
    assert head["before"]["parameters"] == 96 * 10 + 10
    assert head["after"]["parameters"] == head["after"]["inputs"] * 10 + 10
    assert (head["op_type"], head["weight"]) == ("Gemm", "head.weight")


def test_a_layer_that_is_gone_has_nothing_after() -> None:
    result = op.prune(FIXTURES / "fashion_resnet.onnx", blocks=1)
    layers = record_of(result)["layers"]
    gone = [layer for layer in layers if layer["after"] is None]
    assert len(gone) == 2
    assert record_of(result)["blocks"]


def test_groups_with_their_carriers_and_what_follows(pruned: Result) -> None:
    groups = record_of(pruned)["groups_list"]
    removal = pruned.removals[0]
    assert [group["id"] for group in groups] == list(range(len(groups)))
    cut = {g["name"]: g["kept"] for g in groups if g["kept"] < g["size"]}
    kept = {g.name: removal.keeps[g.leaf].count for g in removal.groups if g.leaf in removal.keeps}
    assert cut == kept
    inner = next(
        g
        for g in groups
        if g["nodes"][0] == "/residual/first/first.0/Conv" and g["kind"] == "channel"
    )
    assert "/residual/second/second.0/Conv" in inner["nodes"]
    (following,) = inner["next"]
    assert "/residual/Add" in groups[following]["nodes"]
    assert inner["id"] in groups[following]["next"]
    assert {member["axis"] for member in inner["members"]} == {0, 1}


def test_what_blocks_stands_among_the_groups(pruned: Result) -> None:
    blocked = [g for g in record_of(pruned)["groups_list"] if g["blocked"]]
    (classes,) = blocked
    assert (classes["kind"], classes["size"], classes["kept"]) == ("blocked", 10, 10)
    assert "graph output" in classes["blocked"]
    assert {"weight": "head.weight", "axis": 0} in classes["members"]


def test_what_stays_after_several_steps() -> None:
    result = op.prune(FIXTURES / "digits_cnn.ts.onnx", 0.5, steps=2)
    assert len(result.removals) == 2
    entries = [entry for entry in record_of(result)["groups_list"] if not entry["blocked"]]
    last = result.removals[1]
    for entry, group in zip(entries, last.groups, strict=True):
        now = last.keeps[group.leaf].count if group.leaf in last.keeps else group.size
        assert (entry["name"], entry["kept"]) == (group.name, now)
        assert entry["size"] > now


def test_a_budget_leaves_its_curve() -> None:
    result = op.prune(FIXTURES / "digits_cnn.ts.onnx", targets=("macs=0.5", "params=0.9"))
    record = record_of(result)
    macs, params = record["budget"]
    assert (macs["quantity"], macs["limit"]) == ("macs", 0.5)
    assert (params["quantity"], params["limit"]) == ("params", pytest.approx(0.9))
    curve = macs["curve"]
    assert curve[0] == {"left": 1.0, "loss": 0.0}
    assert len(curve) <= 200
    lefts, losses = [p["left"] for p in curve], [p["loss"] for p in curve]
    assert lefts == sorted(lefts, reverse=True)
    assert losses == sorted(losses)
    assert lefts[-1] <= 0.5 < lefts[-2]


def test_no_budget_no_curve(pruned: Result) -> None:
    assert "budget" not in record_of(pruned)


def test_where_nothing_was_analysed_there_is_nothing_to_tell() -> None:
    result = Pipeline("fold-constants").run(op.load(FIXTURES / "digits_cnn.ts.onnx"))
    assert not {"layers", "groups_list", "budget"} & record_of(result).keys()
