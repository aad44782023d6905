"""What is installed and which providers work: record and text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rich.table import Table

from onnxprune.reports.record import SCHEMA, Record
from onnxprune.reports.terminal import console, plain_table
from onnxprune.runtime import parse_provider
from onnxprune.runtime.providers import needs
from onnxprune.verify.health import Check, Diagnosis


def describe_diagnosis(diagnosis: Diagnosis) -> Record:
    """What `onnxprune doctor` found, for the record."""
    inventory = diagnosis.inventory
    return {
        "schema": SCHEMA,
        "status": "diagnosed",
        "versions": dict(inventory.versions),
        "runtimes": dict(inventory.runtimes),
        "built_for": dict(inventory.built_for),
        "driver": inventory.driver or None,
        "accelerators": dict(inventory.accelerators),
        "providers": [_describe_check(check) for check in diagnosis.checks],
        "warnings": inventory.warnings,
    }


def _describe_check(check: Check) -> Record:
    error = check.error
    return {
        "provider": check.provider,
        "available": check.available,
        "works": check.works,
        "nodes": {name: sum(types.values()) for name, types in check.operators.items()},
        "deviation": check.deviation,
        "error": None if error is None else {"message": error.message, "why": error.why},
        "missing": list(check.missing),
        "needs": needs(parse_provider(check.provider)),
    }


def print_diagnosis(record: Mapping[str, Any], file: IO[str]) -> None:
    """Print what was found.

    Args:
        record: what `describe_diagnosis` made.
        file: where to print it.
    """
    out = console(file)
    out.print(_installed(record), "")
    if record["providers"]:
        out.print(_providers(record), "")
    for text in record["warnings"]:
        out.print(f"Warning: {text}.", style="yellow")


def _installed(record: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, version in record["versions"].items():
        table.add_row(name, version)
        if name == "onnxruntime":
            table.add_row("  packages", _listed(record["runtimes"]))
            if record["built_for"]:
                table.add_row("  built for", _listed(record["built_for"]))
    table.add_row("NVIDIA driver", record["driver"] or "none")
    table.add_row("accelerators", _listed(record["accelerators"]))
    return table


def _listed(versions: Mapping[str, str]) -> str:
    return "\n".join(f"{name} {version}" for name, version in versions.items()) or "none"


def _providers(record: Mapping[str, Any]) -> Table:
    table = plain_table()
    table.add_column("provider", no_wrap=True)
    table.add_column("works")
    table.add_column("on a tiny model", overflow="fold")
    for check in record["providers"]:
        style = "green" if check["works"] else ""
        table.add_row(
            check["provider"], "yes" if check["works"] else "no", _found(check), style=style
        )
    return table


def _found(check: Mapping[str, Any]) -> str:
    if check["works"]:
        nodes, own = check["nodes"], check["nodes"].get(check["provider"], 0)
        counted = f"{own} of {sum(nodes.values())} nodes; " if nodes else ""
        return f"{counted}deviates from numpy by {check['deviation']:.0e}"
    if not check["available"]:
        lines = ["not in this ONNX Runtime"]
    else:
        message = check["error"]["message"].removeprefix(f"execution provider {check['provider']} ")
        lines = [line for line in (message, check["error"]["why"]) if line]
    if check["missing"]:
        lines.append(f"not found: {', '.join(check['missing'])}")
    if check["needs"]:
        lines.append(f"needs {check['needs']}")
    return "\n".join(lines)
