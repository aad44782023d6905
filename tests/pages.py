"""Commands and code on the pages for readers (the files README.md), and what they refer to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = tuple(
    f"{folder}README.md"
    for folder in ("", "passes/", "onnxprune/", "onnxprune/ops/", "tests/", "fixtures/", "tools/")
)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        page: the page that it stands on.
        language: what the page calls it; "" where it is indented or called nothing.
        text: its lines.
    """

    page: str
    language: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """All blocks of a page: fenced ones, then those that are indented behind an empty line."""
    text = (ROOT / page).read_text()
    for found in _FENCED.finditer(text):
        yield Block(page, found[1], found[2])
    rest = _FENCED.sub("", text)
    for found in re.finditer(r"(?:^|\n\n)((?: {4}[^\n]*(?:\n|$))+)", rest):
        yield Block(page, "", re.sub(r"^ {4}", "", found[1], flags=re.M))


def commands(page: str, program: str) -> list[str]:
    """The command lines of a page that begin with a program's name, without comments.

    Pipes end a command, and so do brackets around what may be left out.
    """
    lines = (
        line
        for block in blocks(page)
        if block.language in ("", "sh", "bash")
        for line in re.sub(r"\\\n\s*", "", block.text).splitlines()
    )
    found = (line.split(" | ")[0] for line in lines if re.match(rf"{program}\b", line))
    return [re.sub(r"\s+#.*|\s+\[options\]", "", line) for line in found]


def arguments(command: str) -> list[str]:
    """What follows the program's name."""
    return shlex.split(re.split(r" >>? ", command)[0])[1:]


def code(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [block.text for block in blocks(page) if block.language == language]
