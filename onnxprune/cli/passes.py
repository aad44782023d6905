"""`onnxprune passes`."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import click

from onnxprune.cli.console import output
from onnxprune.cli.options import json_option, verbose_option
from onnxprune.passes import PASSES
from onnxprune.pipelines.spec import options_of
from onnxprune.reports.terminal import WIDTH

_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


@click.command(
    short_help="List the passes of pipelines.",
    epilog="Write them in a row: onnxprune IN OUT --passes "
    "'fold-constants,remove-channels{ratio=0.3,kinds=head|channel},fold-empty'",
)
@json_option
@verbose_option
def passes() -> None:
    """List the passes of textual pipelines with their options."""
    known = [_describe(name, kind) for name, kind in PASSES.items()]
    out = output()
    if out.as_json:
        out.document({"schema": 1, "passes": known})
        return
    with out.stdout() as file:
        file.write("\n".join(line for entry in known for line in _lines(entry)) + "\n")


def _lines(entry: Mapping[str, Any]) -> Iterator[str]:
    yield str(entry["name"])
    yield _wrapped(entry["summary"], "  ")
    for name, option in entry["options"].items():
        default = f", default {option['default']}" if option["default"] else ""
        yield _wrapped(f"{name} ({option['type']}{default})", "    ")
        if option["help"]:
            yield _wrapped(option["help"], "        ")


def _describe(name: str, kind: type[Any]) -> dict[str, Any]:
    text = inspect.getdoc(kind) or ""
    helps = {
        match[1]: " ".join(match[2].split()).replace("``", "")
        for match in _ATTRIBUTE.finditer(text)
    }
    defaults = {option.name: option.default for option in dataclasses.fields(kind)}
    return {
        "name": name,
        "summary": text.partition("\n")[0],
        "options": {
            option: {
                "type": type_name,
                "default": _shown(defaults[option]),
                "help": helps.get(option, ""),
            }
            for option, (type_name, _) in options_of(kind).items()
        },
    }


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return "|".join(map(str, cast(tuple[object, ...], default)))
    return str(default)


def _wrapped(text: str, indent: str) -> str:
    return click.wrap_text(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
