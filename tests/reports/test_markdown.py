"""The record as Markdown: what stands first, what is folded, and names that mean no harm."""

from typing import Any

import pytest

from onnxprune.errors import CannotTellError, EquivalenceError
from onnxprune.reports.markdown import MOST_BYTES, markdown
from onnxprune.reports.record import failed

SPEED = {
    "ratio": 1.9, "low": 1.8, "high": 2.0, "verdict": "faster", "noise": [0.99, 1.01],
    "pairs": 100, "provider": "cpu", "threads": 1,
}  # fmt: skip
PROOF = {
    "verdict": "passed", "passed": True, "compared": 42, "reacting": 40, "max_rel": 1e-6,
    "tolerance": 1e-3, "why": "", "worst": "y", "max_abs": 1e-6,
}  # fmt: skip


def layer(name: str) -> dict[str, Any]:
    before = {"inputs": 64, "outputs": 64, "macs": 4096, "parameters": 4096, "latency_us": None}
    after = {**before, "outputs": 32, "macs": 2048}
    return {"node": name, "op_type": "Conv", "weight": "w", "before": before, "after": after}


def group(name: str, kept: int = 32) -> dict[str, Any]:
    return {"name": name, "kind": "channel", "size": 64, "kept": kept, "blocked": None}


def record(**more: Any) -> dict[str, Any]:
    sides = ({"parameters": 1000, "macs": 4096}, {"parameters": 700, "macs": 2048})
    return {
        "status": "pruned",
        "original": sides[0],
        "pruned": sides[1],
        "equivalence": PROOF,
        "speedup": SPEED,
        "blocked": [{"reason": "graph output y", "node": "", "parameters": 0.25}],
        "layers": [layer("/conv1")],
        "groups_list": [group("channel of w"), group("whole", 64)],
        "command": ["onnxprune", "in.onnx", "out file.onnx"],
        "provenance": {
            "inputs": {
                "original": {"path": "models/in.onnx", "sha256": "0"},
                "pruned": {"path": "out.onnx", "sha256": "1"},
            },
            "versions": {"python": "3.11", "onnxprune": "1.0", "onnx": None},
        },
        **more,
    }


def test_verdicts_come_first() -> None:
    text = markdown(record())
    lines = text.splitlines()
    assert lines[0] == "### onnxprune: pruned, `in.onnx` → `out.onnx`"
    assert lines[2].startswith("- ✅ equivalence: **pass**: 42 tensors")
    assert lines[3] == "- ✅ speed: **pass**: 1.90x faster (1.80-2.00); cpu, 100 pairs of runs"
    assert "| parameters | 1,000 | 700 | -30.0 % |" in lines
    assert "| `/conv1` | Conv | 64 | 64 → 32 | 4,096 → 2,048 | -50.0 % |" in lines
    assert "| `channel of w` | channel | 64 | 32 | 50.0 % |" in lines
    assert "<details><summary>Coupling groups: 1 cut of 2</summary>" in lines
    assert "<details><summary>Not prunable: 25.0 % of parameters</summary>" in lines
    assert "Command: `onnxprune in.onnx 'out file.onnx'`" in lines
    assert text.count("<details>") == text.count("</details>") == 3


def test_times_of_layers_are_shown_where_they_are_known() -> None:
    timed = layer("/conv1")
    timed["before"]["latency_us"], timed["after"]["latency_us"] = 120.0, 71.5
    lines = markdown(record(layers=[timed, layer("/conv2")])).splitlines()
    assert "| layer | operator | reads | makes | MACs | change | µs |" in lines
    assert "| `/conv1` | Conv | 64 | 64 → 32 | 4,096 → 2,048 | -50.0 % | 120 → 72 |" in lines
    assert "| `/conv2` | Conv | 64 | 64 → 32 | 4,096 → 2,048 | -50.0 % |  |" in lines


def test_a_failure_says_what_why_and_what_to_do() -> None:
    error = EquivalenceError("it is wrong", where="node a_b", why="1 < 2\nand more", hint="report")
    lines = markdown(failed({"command": ["onnxprune", "a", "b"]}, error)).splitlines()
    assert lines[0] == "### onnxprune: failed"
    assert lines[2] == "**it is wrong**"
    assert "- where: node a\\_b" in lines
    assert "- why: 1 \\< 2 and more" in lines
    assert "- hint: report" in lines


def test_what_cannot_be_told_is_no_failure() -> None:
    doubt = {**SPEED, "verdict": "cannot tell"}
    text = markdown(failed(record(speedup=doubt), CannotTellError("which is faster?")))
    assert text.startswith("### onnxprune: cannot tell, ")
    assert "- ❔ speed: **cannot tell**: a ratio of 1.900" in text
    assert "run: **" not in text


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("a|b", "`a\\|b`"),
        ("a`b", "`` a`b ``"),
        ("a``b|", "` a``b\\| `"),
        ("</details><script>", "`</details><script>`"),
        ("a\nb", "`a b`"),
    ],
)
def test_names_are_only_names(name: str, cell: str) -> None:
    cells = [line for line in markdown(record(layers=[layer(name)])).splitlines() if cell in line]
    assert len(cells) == 1


def test_reasons_are_only_text() -> None:
    entry = {"reason": "@user | <b> *bold* _x_ [l](http://e) #1", "node": "", "parameters": 0.1}
    text = markdown(record(blocked=[entry]))
    assert "&#64;user \\| \\<b\\> \\*bold\\* \\_x\\_ \\[l\\](http://e) \\#1" in text


@pytest.mark.parametrize("count", [10, 5_000])
def test_it_fits_a_comment(count: int) -> None:
    names = [f"/a/rather/long/name/of/a/layer/number_{place}/Conv" for place in range(count)]
    outputs = {"cosine": 1.0, "sqnr_db": 50.0, "max_abs": 0.1, "top1": None}
    text = markdown(
        record(
            layers=list(map(layer, names)),
            groups_list=list(map(group, names)),
            fidelity=dict.fromkeys(names, outputs),
            measured_on={"samples": None, "dropped": 0, "warning": "w" * 100_000},
            command=["onnxprune", *names],
            notes=["é" * 10_000] * 20,
        )
    )
    assert len(text.encode()) <= MOST_BYTES
    assert text.count("<details>") == text.count("</details>") == 3
    assert ("more" in text) == (count > 1_000)
    assert "onnxprune 1.0" in text
