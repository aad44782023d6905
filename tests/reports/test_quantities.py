"""Numbers as people read them."""

import pytest

from onnxprune.reports import quantities


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (197_450, "197,450"), (2.83e9, "2.83 G"), (1.5e12, "1.50 T")]
)
def test_count(value: float, text: str) -> None:
    assert quantities.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(9_999, "9,999"), (10_000, "10 k"), (34_176, "34.2 k"), (1_584_768, "1.58 M")],
)
def test_compact(value: float, text: str) -> None:
    assert quantities.compact(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(18.52, "18.5"), (999.7, "1,000"), (4_321, "4,321"), (12_811, "12.8 k")]
)
def test_rate(value: float, text: str) -> None:
    assert quantities.rate(value) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (797_871, "797.9 kB"), (999_999, "1.0 MB"), (3e15, "3000.0 TB")],
)
def test_size(size_bytes: float, text: str) -> None:
    assert quantities.size(size_bytes) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(0.09312, "0.0931 ms"), (12.34, "12.3 ms"), (1234, "1234 ms")]
)
def test_latency(ms: float, text: str) -> None:
    assert quantities.latency(ms) == text


@pytest.mark.parametrize(
    ("part", "text"), [(0, "0.0 %"), (1e-6, "< 0.1 %"), (0.4374, "43.7 %"), (1, "100.0 %")]
)
def test_share(part: float, text: str) -> None:
    assert quantities.share(part) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (100, 56.3, "-43.7 %"),
        (100, 110, "+10.0 %"),
        (5, 5, ""),
        (0, 5, ""),
        (None, 5, ""),
        (5, None, ""),
    ],
)
def test_change(before: float | None, after: float | None, text: str) -> None:
    assert quantities.change(before, after) == text
