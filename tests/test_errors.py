"""Errors carry their exit code, and say what, where, why and what to do."""

import pickle

import pytest

from onnxprune import errors
from onnxprune.errors import InternalError, ModelError, OnnxPruneError, WriteError

CODES = {
    "CheckFailedError": 1,
    "UsageError": 2,
    "ModelError": 3,
    "NothingToPruneError": 3,
    "RuntimeFailureError": 3,
    "PlanError": 3,
    "ProviderUnavailableError": 4,
    "EquivalenceError": 5,
    "InternalError": 5,
    "CannotTellError": 6,
    "WriteError": 7,
}


def test_each_error_has_its_exit_code() -> None:
    assert {kind.__name__: kind.exit_code for kind in OnnxPruneError.__subclasses__()} == CODES


def test_the_module_explains_every_code() -> None:
    assert errors.__doc__ is not None
    for code in {*CODES.values(), errors.EXIT_DONE, errors.EXIT_INTERRUPTED}:
        assert f"| {code} " in errors.__doc__


def test_it_tells_all_four_parts() -> None:
    error = ModelError("the file is empty", where="a.onnx", why="0 bytes", hint="export it again")
    assert str(error) == (
        "the file is empty\n  where: a.onnx\n  why: 0 bytes\n  hint: export it again"
    )
    assert error.render() == str(error)


def test_empty_parts_are_left_out() -> None:
    assert str(WriteError("not written", why="disk full")) == "not written\n  why: disk full"


def test_a_cause_of_several_lines_is_indented() -> None:
    assert str(ModelError("no", why="one\ntwo\n")) == "no\n  why: one\n    two"


def test_an_internal_error_asks_for_a_report() -> None:
    assert "report" in InternalError("oops").hint
    assert InternalError("oops", hint="wait").hint == "wait"


@pytest.mark.parametrize("kind", OnnxPruneError.__subclasses__())
def test_it_survives_pickling(kind: type[OnnxPruneError]) -> None:
    error = kind("what", where="where", why="why", hint="hint")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
