"""A model that is loaded, analysed and saved, with nothing removed, is what it was."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from backend.cases import Case
from backend.kept import dressed, lost
from backend.running import Array, first_other, session_over, unlike
from failures import line_of

import onnxprune as op
from onnxprune.errors import OnnxPruneError, RuntimeFailureError
from onnxprune.passes import FoldConstants, FoldEmpty, RemoveChannels

SAME, OTHERWISE = "same", "as ONNX Runtime has it"
NOT_LOADED, REFUSED, FAILED = "not loaded", "refused", "FAILED"
SAMENESS = (SAME, OTHERWISE, NOT_LOADED, REFUSED, FAILED)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Sameness:
    """What came of a case of which nothing is removed.

    Attributes:
        outcome: `SAME`; `OTHERWISE` where ONNX Runtime does not give what the case asks for, with
            the original no more than with what was saved; `NOT_LOADED` by it, `REFUSED` by
            onnxprune, or `FAILED`.
        why: what stands behind an outcome other than `SAME`.
    """

    outcome: str
    why: str = ""


def examine_same(case: Case) -> Sameness:
    """Loads, analyses and saves the model of a case, and compares."""
    try:
        session = session_over(case.model)
    except RuntimeFailureError as error:
        return Sameness(NOT_LOADED, line_of(error))
    try:
        before = [session.run(feeds) for feeds, _ in case.sets]
        why = unlike(case, before)
    except RuntimeFailureError as error:
        before, why = [], line_of(error)
    original = dressed(case.model)
    try:
        with _saved_twice(original) as files:
            for path in files:
                gone = lost(original, onnx.load(path))
                fault = f"lost: {'; '.join(gone[:_SHOWN])}" if gone else ""
                if fault := fault or _changed(case, path, before, otherwise=bool(why)):
                    return Sameness(FAILED, fault)
    except OnnxPruneError as error:
        return Sameness(REFUSED if error.exit_code == 3 else FAILED, line_of(error))
    return Sameness(OTHERWISE, why) if why else Sameness(SAME)


@contextmanager
def _saved_twice(original: onnx.ModelProto) -> Iterator[Sequence[Path]]:
    """Files of a model that was only loaded, and of its canonical form with nothing removed."""
    with tempfile.TemporaryDirectory(prefix="backend-report-") as folder:
        paths = Path(folder) / "loaded.onnx", Path(folder) / "analysed.onnx"
        model = op.load(original)
        model.save(paths[0])
        steps = [FoldConstants(), RemoveChannels(ratio=0), FoldEmpty()]
        op.Pipeline(steps).run(model).model.save(paths[1])
        yield paths


def _changed(case: Case, path: Path, before: Sequence[dict[str, Array]], otherwise: bool) -> str:
    """How what was saved computes something else; "" if it does not."""
    try:
        session = session_over(path)
        after = [session.run(feeds) for feeds, _ in case.sets]
    except RuntimeFailureError as error:
        return "" if otherwise and not before else f"saved, it does not run: {line_of(error)}"
    if not otherwise:
        return unlike(case, after)
    pairs = zip(after, before, strict=True) if before else ()
    return next(filter(None, (first_other(a, b, case.rtol, case.atol) for a, b in pairs)), "")
