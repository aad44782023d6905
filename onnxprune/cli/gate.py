"""`onnxprune gate`."""

from __future__ import annotations

from pathlib import Path

import click

from onnxprune.cli.command import command
from onnxprune.cli.console import output
from onnxprune.cli.options import json_option, quiet_option, verbose_option
from onnxprune.cli.reporting import report_option
from onnxprune.cli.targets import check_distinct, check_target
from onnxprune.errors import CannotTellError, CheckFailedError
from onnxprune.files import write_text
from onnxprune.gate import Policy, judge
from onnxprune.gate.record import record_of
from onnxprune.reports.gate import print_gate
from onnxprune.reports.junit import junit_xml

_MODEL = click.Path(path_type=Path)


@command(
    short_help="Judge a pruned model by a policy.",
    epilog="""\b
Examples:
  onnxprune gate --policy policy.toml in.onnx out.onnx --junit gate.xml
  onnxprune gate --policy policy.toml in.onnx out.onnx --update-baseline
""",
)
@click.argument("original", type=_MODEL, required=False)
@click.argument("candidate", type=_MODEL, required=False)
@click.option(
    "--policy",
    "policy_path",
    type=_MODEL,
    required=True,
    metavar="POLICY.toml",
    help="What CANDIDATE must hold to.",
)
@click.option("--junit", type=_MODEL, metavar="FILE.xml", help="Write the checks as JUnit XML.")
@click.option(
    "--update-baseline",
    is_flag=True,
    help="Write what is measured to the policy's baseline, if every check passes.",
)
@report_option
@json_option
@quiet_option
@verbose_option
def gate(
    original: Path | None,
    candidate: Path | None,
    policy_path: Path,
    junit: Path | None,
    update_baseline: bool,
) -> None:
    """Judge CANDIDATE, made from ORIGINAL, by a policy: is it what it claims, close, and faster?

    Models that are not given are those that the policy names. Exits with 0 if every check passes,
    with 1 if one fails, and otherwise with 6 if one cannot be told.
    """
    out = output()
    if junit is not None:
        check_target(junit)
        for source in (policy_path, original, candidate):
            if source is not None:
                check_distinct(source, junit, what="an input")
    with out.progress():
        policy = Policy.load(policy_path)
        judgement = judge(
            policy, original, candidate, update_baseline=update_baseline, stage=out.stage
        )
        out.record.update(record_of(judgement))
    if junit is not None:
        write_text(junit, junit_xml(out.record))
    if not out.as_json and not out.quiet:
        with out.stdout() as file:
            print_gate(out.record, file)
    names = {
        verdict: ", ".join(c.name for c in judgement.checks if c.verdict == verdict)
        for verdict in ("fail", "cannot tell")
    }
    where = str(candidate or policy.path(policy.candidate))
    if judgement.verdict == "fail":
        raise CheckFailedError("the gate says no", where=where, why=names["fail"])
    if judgement.verdict == "cannot tell":
        raise CannotTellError(
            "the gate cannot tell",
            where=where,
            why=names["cannot tell"],
            hint="more samples, or a longer budget on a quieter machine, tell more",
        )
    if out.as_json:
        out.document(out.record)
