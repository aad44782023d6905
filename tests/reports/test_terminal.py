"""Reports for people: short, within 80 columns, plain where nobody sees colours."""

import io
from typing import Any

import pytest

from onnxprune.reports.record import RANDOM_INPUTS
from onnxprune.reports.terminal import (
    WIDEST,
    WIDTH,
    console,
    print_record,
    reasons,
    room,
    shortened,
    speedup_sentence,
)
from tests.streams import Terminal


def speedup(verdict: str, ratio: float, low: float, high: float) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "ratio": ratio,
        "low": low,
        "high": high,
        "noise": [0.99, 1.01],
        "pairs": 100,
        "provider": "cpu",
        "threads": 1,
    }


def score(original: float | None, pruned: float, points: dict[str, float] | None) -> dict[str, Any]:
    return {"original": original, "pruned": pruned, "points": points}


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (speedup("faster", 1.9, 1.89, 1.92), "1.90x faster (1.89-1.92)"),
        (speedup("slower", 0.8, 0.5, 1.0), "1.25x slower (1.00-2.00)"),
    ],
)
def test_a_verdict_comes_with_its_interval(measured: dict[str, Any], text: str) -> None:
    assert speedup_sentence(measured) == text


def test_a_noisy_measurement_says_how_noisy() -> None:
    text = speedup_sentence(speedup("cannot tell", 1.004, 0.998, 1.009))
    assert text.startswith("cannot tell: a ratio of 1.004 (0.998-1.009)")
    assert text.endswith("0.990-1.010")


def test_reasons_are_grouped_and_the_rest_is_counted() -> None:
    blocked = [
        {"reason": "opaque", "node": "a", "parameters": 0.2},
        {"reason": "output", "node": "", "parameters": 0.3},
        {"reason": "opaque", "node": "b", "parameters": 0.2},
        *({"reason": f"reason {i}", "node": "n", "parameters": 0.01} for i in range(6)),
    ]
    lines = reasons(blocked)
    assert lines[0].strip() == "40.0 %  opaque (at a and 1 more)"
    assert lines[1].strip() == "30.0 %  output"
    assert lines[-1].strip() == "2.0 %  and 2 more reasons"
    assert len(lines) == 7


def wide_record() -> dict[str, Any]:
    """Long names, large numbers, and many of both."""
    side = {
        "parameters": 123_456_789_012,
        "macs": 987_654_321_098,
        "size_bytes": 10**12,
        "nodes": 12_345,
        "opset": 21,
        "latency_ms": 1234.5,
    }
    name = "decoder/layers/0/attention/" * 5
    return {
        "original": side,
        "pruned": {**side, "parameters": 99},
        "groups": {"total": 1000, "pruned": 999},
        "blocks": [name, name],
        "prunable": {"parameters": 0.99999, "macs": 0.5},
        "blocked": [{"reason": "blocked " * 30, "node": name, "parameters": 0.5}],
        "equivalence": {
            "verdict": "passed",
            "compared": 12_345,
            "reacting": 12_000,
            "max_rel": 1e-6,
            "tolerance": 1e-3,
            "why": "",
        },
        "fidelity": {
            name + str(i): {
                "cosine": -0.5,
                "sqnr_db": float("inf"),
                "max_abs": 1e9,
                "top1": None,
                "non_finite": 10**9 * (i == 0),
            }
            for i in range(10)
        },
        "metrics": {
            "top1": score(1.0, 0.0, {"difference": -100.0, "low": -99.99, "high": 100.0}),
            "agreement": score(None, 0.5, None),
            "some.package.of.metrics:" + "mean_average_precision": score(-1e-9, 1e12, None),
        },
        "measured_on": {
            "source": name,
            "samples": 123_456_789,
            "dropped": 123,
            "warning": RANDOM_INPUTS,
        },
        "speedup": speedup("faster", 1.9, 1.89, 1.92),
        "notes": ["a note " * 20],
    }


def test_a_report_fits_its_width() -> None:
    file = io.StringIO()
    print_record(wide_record(), file, "in.onnx -> out.onnx")
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDTH
    for part in ("and 2 more outputs", "on 123,456,789 samples", "1.00 G values are not finite"):
        assert part in file.getvalue()
    assert "Left over, too few for a batch: 123 samples." in lines
    assert f"Warning: {RANDOM_INPUTS}" in lines
    assert "  -100.00 points   -99.99 to +100.00" in file.getvalue()
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize(
    ("file", "columns", "width"),
    [
        (Terminal(), 60, 60),
        (Terminal(), 100, 100),
        (Terminal(), 300, WIDEST),
        (io.StringIO(), 300, WIDTH),
        (io.StringIO(), 60, WIDTH),
    ],
)
def test_reports_use_the_width_of_a_terminal(
    file: io.StringIO, columns: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = console(file)
    assert out.width == width
    assert room(out, 30) == 30 + max(width - WIDTH, 0)


def test_long_names_keep_both_ends() -> None:
    assert shortened("decoder.layer", 13) == "decoder.layer"
    assert shortened("encoder.0.attention.query.weight", 20) == "encoder.0..ry.weight"


@pytest.mark.parametrize(
    ("file", "variables", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_terminals(
    file: io.StringIO,
    variables: dict[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    file.seek(0)
    file.truncate()
    console(file).print("faster", style="green")
    assert ("\x1b[32m" in file.getvalue()) == coloured
    assert "faster" in file.getvalue()
