"""`onnxprune passes`."""

from __future__ import annotations

import inspect
from typing import Any

import click

from onnxprune.cli.console import output
from onnxprune.cli.options import json_option, verbose_option
from onnxprune.passes import PASSES
from onnxprune.pipelines.spec import options_of


@click.command(
    epilog="Write them in a row: onnxprune IN OUT --passes "
    "'fold-constants,remove-channels{ratio=0.3,kinds=head|channel},fold-empty'"
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
    for entry in known:
        click.echo(f"{entry['name']}\n  {entry['summary']}")
        for name, option in entry["options"].items():
            default = f" [default: {option['default']}]" if option["default"] else ""
            click.echo(f"    {name}: {option['type']}{default}")


def _describe(name: str, kind: type[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": (inspect.getdoc(kind) or "").partition("\n")[0],
        "options": {
            option: {"type": type_name, "default": default}
            for option, (type_name, default) in options_of(kind).items()
        },
    }
