"""`onnxprune passes`."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.options import json_option, quiet_option, verbose_option
from onnxprune.errors import UsageError
from onnxprune.passes import PASSES
from onnxprune.passes.plugins import Registry
from onnxprune.passes.score.criteria import CRITERIA
from onnxprune.passes.select.selectors import SELECTORS
from onnxprune.pipelines.spec import options_of
from onnxprune.reports.terminal import console

_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


@command(
    short_help="List the passes of pipelines.",
    epilog="""\b
Examples:
  onnxprune passes
  onnxprune in.onnx out.onnx --passes \\
    'fold-constants,remove-channels{ratio=0.3,kinds=head|channel},fold-empty'
""",
)
@json_option
@quiet_option
@verbose_option
def passes() -> None:
    """List the passes of textual pipelines with their options."""
    known = [_describe(name, kind) for name, kind in PASSES.items()]
    named = {
        registry.what: {name: _summary(registry, name) for name in registry.names}
        for registry in (CRITERIA, SELECTORS)
    }
    out = output()
    if out.as_json:
        out.document({"schema": 1, "passes": known, **named})
    if out.as_json or out.quiet:
        return
    lines = [line for entry in known for line in _lines(entry)]
    for what, entries in named.items():
        lines += [("", ""), ("", f"{what}:")]
        lines += (("  ", f"{name}: {text}") for name, text in entries.items())
    with out.stdout() as file:
        width = console(file).width
        file.writelines(_wrapped(text, indent, width) + "\n" for indent, text in lines)


def _summary(registry: Registry[Any], name: str) -> str:
    """The first line of a function's documentation; where it comes from, if it is not ours."""
    try:
        text = (inspect.getdoc(registry[name]) or "").partition("\n")[0].replace("``", "")
    except UsageError as error:
        return f"{error.message}: {error.why}"
    origin = registry.origin(name)
    return f"{text} ({origin})" if origin else text


def _lines(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Indents and texts."""
    yield "", str(entry["name"])
    yield "  ", entry["summary"]
    for name, option in entry["options"].items():
        default = f", default {option['default']}" if option["default"] else ""
        yield "    ", f"{name} ({option['type']}{default})"
        if option["help"]:
            yield " " * 8, option["help"]


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


def _wrapped(text: str, indent: str, width: int) -> str:
    later = indent + " " * 4
    return click.wrap_text(text, width, initial_indent=indent, subsequent_indent=later)
