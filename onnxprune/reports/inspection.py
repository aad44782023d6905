"""What `inspect` shows: the coupling groups of a model, and what is out of reach."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from onnxprune.axes import Dim
from onnxprune.cost.macs import NOTHING, count_macs, macs_touched, parameters_touched
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.blocks import Block, find_blocks
from onnxprune.coupling.groups import Group
from onnxprune.coupling.uncoupled import uncoupled_axes
from onnxprune.ir.model import Model
from onnxprune.passes.remove.channels import refusals
from onnxprune.reports.quantities import compact, count, share, size
from onnxprune.reports.record import (
    SCHEMA,
    Record,
    blocked_entries,
    describe_model,
    ratio,
    weights_total,
)
from onnxprune.reports.terminal import (
    console,
    plain_table,
    print_blocked,
    print_unknown,
    room,
    shortened,
)

GROUPS_SHOWN = 40
"""More groups than that are counted; `--json` has them all."""
BLOCKS_SHOWN = 12
"""Likewise of residual blocks."""
NAME_SHOWN = 30
"""Longer names are shortened, where there is no more room."""


def inspection(
    model: Model, analysis: Analysis, groups: list[Group], chosen: list[Group]
) -> Record:
    """Describe what can be pruned of a model.

    Args:
        model: the model as it was loaded.
        analysis: of it.
        groups: its coupling groups.
        chosen: those that would be offered for pruning.
    """
    sample = Sample.of(analysis)
    total = weights_total(analysis)
    macs = count_macs(analysis)
    by_leaf = _macs_by_leaf(analysis, {group.leaf for group in groups})
    offered = {group.index for group in chosen}
    return {
        "schema": SCHEMA,
        "model": {
            **describe_model(model),
            "size_bytes": model.size_bytes,
            "macs": sample.share(macs),
            "opset": model.opset,
        },
        "macs_at": sample.shapes,
        "prunable": {
            "parameters": ratio(parameters_touched(analysis, chosen), total),
            "macs": ratio(macs_touched(analysis, chosen), macs),
        },
        "groups": [
            {
                "index": group.index,
                "name": group.name,
                "kind": group.kind,
                "size": group.size,
                "parameters": group.parameters,
                "macs": sample.share(by_leaf[group.leaf]),
                "members": [
                    {"weight": member.weight, "axis": member.axis, "producer": member.producer}
                    for member in group.members
                ],
                "offered": group.index in offered,
                "why": "" if group.index in offered else _why_not(group, offered),
            }
            for group in groups
        ],
        "blocks": [_block_entry(block) for block in find_blocks(analysis, groups)],
        "blocked": blocked_entries(refusals(analysis, groups, chosen), total),
        "unknown": analysis.unknown,
        "uncoupled": [
            {**asdict(axis), "nodes": nodes}
            for axis, nodes in sorted(uncoupled_axes(analysis).items())
        ],
    }


def _block_entry(block: Block) -> Record:
    return {
        "name": block.name,
        "parameters": block.parameters,
        "nodes": len(block.places),
        "shortcut": block.shortcut,
        "branch": block.branch,
        "groups": [group.index for group in block.groups],
    }


def print_inspection(record: Mapping[str, Any], file: IO[str], title: str) -> None:
    """Print an inspection.

    Args:
        record: as `inspection` makes it.
        file: where to print it.
        title: a line above.
    """
    out = console(file)
    model, prunable = record["model"], record["prunable"]
    per = "a sample" if record["macs_at"] else "a run"
    out.print(title, style="bold")
    out.print(
        f"{count(model['parameters'])} parameters, {count(model['macs'])} MACs {per}, "
        f"{size(model['size_bytes'])}, {model['nodes']} operators, "
        f"opset {', '.join(_opset(*item) for item in model['opset'].items())}"
    )
    out.print("")
    groups = record["groups"]
    shown = sorted(groups, key=lambda group: -group["parameters"])[:GROUPS_SHOWN]
    if groups:
        by_index = sorted(shown, key=lambda group: group["index"])
        out.print(_table(by_index, room(out, NAME_SHOWN)), "")
    if len(groups) > len(shown):
        out.print(f"  and {len(groups) - len(shown)} smaller groups (--json lists all)")
    for why in sorted({group["why"] for group in groups if group["why"]}):
        out.print(f"* {why}")
    out.print(
        f"Coupling groups: {len(groups)}, of which {sum(group['offered'] for group in groups)} "
        f"offered; these touch {share(prunable['parameters'])} of parameters, "
        f"{share(prunable['macs'])} of MACs."
    )
    _print_blocks(out, record["blocks"])
    print_blocked(out, record["blocked"])
    print_unknown(out, record["unknown"])
    _print_uncoupled(out, record["uncoupled"])


def _print_blocks(out: Console, blocks: Sequence[Mapping[str, Any]]) -> None:
    if blocks:
        out.print(f"Residual blocks that can go (--blocks): {len(blocks)}")
    for block in blocks[:BLOCKS_SHOWN]:
        out.print(f"  {compact(block['parameters'])} parameters, added at {block['name']}")
    if len(blocks) > BLOCKS_SHOWN:
        out.print(f"  and {len(blocks) - BLOCKS_SHOWN} more (--json lists all)")


def _print_uncoupled(out: Console, axes: Iterable[Mapping[str, Any]]) -> None:
    """A line for each operator and reason: an axis that should not be there has a wrong signature.

    Args:
        out: where to print.
        axes: entries with `op_type`, `operand`, `axis`, `reason` and `nodes`.
    """
    places: dict[tuple[str, str], list[str]] = {}
    for entry in axes:
        title = entry["op_type"], entry["reason"] or "free"
        places.setdefault(title, []).append(f"{entry['operand']}.{entry['axis']}")
    if places:
        out.print("Axes that an operator couples with no other (operand.axis):")
    for (op_type, reason), found in places.items():
        out.print(f"  {op_type} {' '.join(found)}: {reason}")


def _table(groups: Iterable[Mapping[str, Any]], width: int) -> Table:
    table = plain_table()
    table.padding = (0, 1, 0, 0)
    for heading in ("#", "kind", "size", "parameters", "MACs"):
        table.add_column(heading, justify="left" if heading == "kind" else "right", no_wrap=True)
    table.add_column("made by weight.axis, and others", no_wrap=True)
    for group in groups:
        table.add_row(
            str(group["index"]),
            group["kind"] + ("" if group["offered"] else " *"),
            count(group["size"]),
            compact(group["parameters"]),
            compact(group["macs"]),
            _members(group["members"], width),
        )
    return table


def _macs_by_leaf(analysis: Analysis, leaves: Collection[Dim]) -> dict[Dim, int]:
    """Multiply-accumulates of the operators that carry each leaf."""
    macs = dict.fromkeys(leaves, 0)
    for placed in analysis.placed:
        if placed.operator is None:
            continue
        leaves = {leaf for dim in placed.site.letters.values() for leaf in dim.leaves()}
        cost = placed.macs(NOTHING)
        for leaf in leaves & macs.keys():
            macs[leaf] += cost
    return macs


def _why_not(group: Group, offered: Collection[int]) -> str:
    rivals = [rival for rival in group.rivals if rival.index in offered]
    if rivals:
        return "not offered: another factor of the same axes is"
    if group.size < 2:
        return "not offered: one index is left alone"
    return f"kind {group.kind} is not offered by default (--kinds +{group.kind})"


def _members(members: Sequence[Mapping[str, Any]], width: int) -> str:
    first = next((member for member in members if member["producer"]), members[0])
    others = f" +{len(members) - 1}" if len(members) > 1 else ""
    return shortened(f"{first['weight']}.{first['axis']}", width) + others


def _opset(domain: str, version: int) -> str:
    return f"{domain} {version}".strip()
