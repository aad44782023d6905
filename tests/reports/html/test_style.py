"""The style sheet: colours that can be told apart, in both schemes."""

import re
from importlib.resources import files

import pytest

CSS = files("onnxprune.reports.html").joinpath("report.css").read_text("utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
)
TEXTS = ("ink", "soft", "link", "good", "bad", "open")
SHAPES = (
    "edge",
    "focus",
    "before",
    "after",
    *(f"line-{number}" for number in range(5)),
)


def luminance(colour: str) -> float:
    """Relative luminance (W3C, Web Content Accessibility Guidelines 2.2, 2023)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Their ratio, from 1 to 21 (the same source)."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_is_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "raised"])
def test_text_is_readable(colours: dict[str, str], ground: str) -> None:
    ratios = {name: contrast(colours[name], colours[ground]) for name in TEXTS}
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_shapes_stand_out(colours: dict[str, str]) -> None:
    ratios = {name: contrast(colours[name], colours["paper"]) for name in SHAPES}
    assert {name: ratio for name, ratio in ratios.items() if ratio < 3} == {}


def test_both_schemes_have_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_every_colour_that_is_used_is_there() -> None:
    assert set(re.findall(r"var\(--([\w-]+)\)", CSS)) == LIGHT.keys()


def test_colours_stand_in_variables_only() -> None:
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(", rules) == []


@pytest.mark.parametrize(
    "query", ["prefers-reduced-motion", "prefers-color-scheme: dark", "print", "max-width"]
)
def test_readers_are_thought_of(query: str) -> None:
    assert re.search(rf"@media[^{{]*{query}", CSS)
