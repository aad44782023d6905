"""`--report FILE`: the record of a run as files, whether it ends well or with an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

from onnxprune.cli.console import Output, output
from onnxprune.cli.targets import check_report
from onnxprune.errors import WriteError
from onnxprune.files import write_text
from onnxprune.reports.render import FORMATS


def _formats(
    ctx: click.Context, param: click.Parameter, paths: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Refuse files of which the name asks for no format."""
    for path in paths:
        if path.suffix.lower() not in FORMATS:
            known = ", ".join(FORMATS)
            raise click.BadParameter(f"{path.name!r} ends with none of {known}", ctx, param)
    return paths


_READ = {
    "source": "original",
    "model": "original",
    "original": "original",
    "pruned": "pruned",
    "candidate": "candidate",
    "plan_path": "plan",
    "policy_path": "policy",
    "groups": "groups",
    "data": "data",
    "calibration": "calibration",
}
"""What the parameters that name something to read are to the record, in all commands."""


def report_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--report`, repeatable: what a command leaves in the record becomes files when it is done.

    Whether these can be written is checked before the command begins. Of one that ends with an
    error, `OnnxPruneGroup` writes them.
    """

    @wraps(command)
    def run(*args: Any, reports: tuple[Path, ...], **options: Any) -> Any:
        out = output()
        for place, path in enumerate(reports):
            check_report(path, [*reports[:place], *_files(options.values())])
        out.reports = reports
        out.inputs = {r: str(options[name]) for name, r in _READ.items() if options.get(name)}
        done = command(*args, **options)
        write_reports(out, out.record)
        return done

    return click.option(
        "--report",
        "reports",
        multiple=True,
        type=click.Path(path_type=Path),
        callback=_formats,
        metavar="FILE",
        help=f"Write a report, in the format of its name: {', '.join(FORMATS)}. Repeat it for "
        "more.",
    )(run)


def write_reports(out: Output, record: Mapping[str, Any]) -> None:
    """Write the reports that were asked for, each as a whole or not at all.

    Args:
        out: what was asked for; it is asked for no longer then.
        record: what they show.

    Raises:
        WriteError: one could not be written; the others are, as far as they can.
    """
    reports, out.reports = out.reports, ()
    failure: WriteError | None = None
    for path in reports:
        try:
            write_text(path, FORMATS[path.suffix.lower()](record))
        except WriteError as error:
            failure = error
    if failure is not None:
        raise failure


def _files(values: Iterable[object]) -> list[Path]:
    """The values of options that may be names of files."""
    return [Path(value) for value in values if isinstance(value, str | Path) and str(value)]
