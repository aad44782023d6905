"""What can be known about the files of a run before any work is done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from onnxprune.errors import UsageError, WriteError
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ExternalTensor


def check_target(target: Path) -> None:
    """Refuse a target that could not be written.

    Args:
        target: the file to write.

    Raises:
        WriteError: its folder is missing or closed, or something other than a file stands there.
    """
    folder = target.absolute().parent
    if not folder.is_dir():
        raise WriteError(
            "the folder to write to does not exist",
            where=str(folder),
            why="it is not a folder" if folder.exists() else "",
            hint=f"make it first: mkdir -p {folder}",
        )
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "something other than a file"
        raise WriteError(
            f"{kind} stands where the result is to be written",
            where=str(target),
            hint="give the name of a file",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WriteError(
            "the folder may not be written to",
            where=str(folder),
            hint="choose a folder that you may write to",
        )


def check_distinct(
    source: Path, target: Path, in_place: bool | None = None, what: str = "the input model"
) -> None:
    """Refuse a target that is the source, under whatever name.

    Args:
        source: the file to read.
        target: the file to write.
        in_place: whether replacing the source is wanted; None where that makes no sense.
        what: what the source is.

    Raises:
        UsageError: it is, and that was not asked for.
    """
    if not in_place and _same(source, target):
        raise UsageError(
            f"the result would replace {what}",
            where=str(target),
            hint="choose another name" + (", or say --in-place" if in_place is not None else ""),
        )


def check_plan(plan: Path, *others: Path) -> None:
    """Refuse a plan that could not be written, or would replace a model.

    Args:
        plan: the file to write.
        others: files that it must not replace.

    Raises:
        UsageError: it is one of the others.
        WriteError: it could not be written.
    """
    for other in others:
        if _same(plan, other):
            raise UsageError("the plan would replace a model", where=str(plan), hint="rename it")
    check_target(plan)


def check_report(report: Path, others: Iterable[Path]) -> None:
    """Refuse a report that could not be written, or would replace another file of the run.

    Args:
        report: the file to write.
        others: what the run reads and writes beside it.

    Raises:
        UsageError: it is one of the others.
        WriteError: it could not be written.
    """
    if any(_same(report, other) for other in others):
        raise UsageError(
            "the report would replace another file of this run",
            where=str(report),
            hint="choose another name",
        )
    check_target(report)


def check_weights(model: Model, target: Path, in_place: bool) -> None:
    """Refuse a target whose external data would replace that of the source.

    Args:
        model: the source.
        target: the file to write.
        in_place: whether replacing the source is wanted.

    Raises:
        UsageError: it would, and that was not asked for.
    """
    data = target.with_name(target.name + ".data")
    used = {
        tensor.path for tensor in model.constants.values() if isinstance(tensor, ExternalTensor)
    }
    if not in_place and any(_same(path, data) for path in used):
        raise UsageError(
            "the result's weights would replace those of the input model",
            where=str(data),
            hint="choose another name, or say --in-place",
        )


def _same(first: Path, second: Path) -> bool:
    if first.exists() and second.exists():
        return first.samefile(second)
    return os.path.realpath(first) == os.path.realpath(second)
