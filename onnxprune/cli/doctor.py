"""`onnxprune doctor`."""

from __future__ import annotations

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.options import json_option, quiet_option, verbose_option
from onnxprune.cli.values import words
from onnxprune.reports.doctor import describe_diagnosis, print_diagnosis
from onnxprune.runtime.providers import PROVIDER_NAMES
from onnxprune.verify.health import diagnose


@command(
    short_help="Show which execution providers work here.",
    epilog="""\b
Examples:
  onnxprune doctor
  onnxprune doctor --provider cuda
""",
)
@click.option(
    "--provider",
    metavar="NAME[:KEY=VALUE,…]",
    shell_complete=words(PROVIDER_NAMES),
    help="Exit with 4 if this provider does not work.",
)
@json_option
@quiet_option
@verbose_option
def doctor(provider: str | None) -> None:
    """Show what is installed, and try every execution provider on a tiny model.

    Each runs in a process of its own, and what it computes is compared with numpy. The report
    belongs into every report of a bug.
    """
    out = output()
    with out.progress():
        out.stage("trying providers")
        diagnosis = diagnose(provider)
    out.record.update(describe_diagnosis(diagnosis))
    if not out.as_json and not out.quiet:
        with out.stdout() as file:
            print_diagnosis(out.record, file)
    if diagnosis.broken is not None:
        raise diagnosis.broken
    if provider is not None:
        diagnosis.require(provider)
    if out.as_json:
        out.document(out.record)
