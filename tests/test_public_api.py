"""Every public name is there, documented and typed, and says what it raises."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import onnxprune as op
from onnxprune import errors
from tests.pages import ROOT

PAGES = ("README.md", "passes/README.md")


def public_objects() -> dict[str, Any]:
    found = {f"op.{name}": getattr(op, name) for name in op.__all__ if name != "passes"}
    return found | {f"op.passes.{name}": getattr(op.passes, name) for name in op.passes.__all__}


OBJECTS = public_objects()
CLASSES = {name: thing for name, thing in OBJECTS.items() if inspect.isclass(thing)}


def members(name: str, kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Methods and properties that a class or one of its own bases defines."""
    for owner in kind.__mro__:
        if not owner.__module__.startswith("onnxprune"):
            continue
        for key, member in vars(owner).items():
            function = member.fget if isinstance(member, property) else member
            function = getattr(function, "__func__", function)
            if inspect.isfunction(function) and (not key.startswith("_") or key == "__init__"):
                yield f"{name}.{key}", function


def public_functions() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {
        name: thing for name, thing in OBJECTS.items() if inspect.isfunction(thing)
    }
    for name, kind in CLASSES.items():
        found.update(members(name, kind))
    return {key: function for key, function in found.items() if not is_generated(function)}


def is_generated(function: Callable[..., Any]) -> bool:
    """Whether a dataclass wrote it."""
    return function.__code__.co_filename == "<string>"


FUNCTIONS = public_functions()


def raised_in(function: Callable[..., Any]) -> set[str]:
    """Names of the classes that a function raises by itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc)
    called = (node.func if isinstance(node, ast.Call) else node for node in raised)
    return {node.id for node in called if isinstance(node, ast.Name) and node.id[0].isupper()}


def documented(function: Callable[..., Any]) -> set[str]:
    """Names in the section Raises of a docstring."""
    section = re.search(r"Raises:\n((?:    .+\n?)+)", inspect.getdoc(function) or "")
    return set(re.findall(r"^    (\w+):", section[1], re.M)) if section else set()


def test_the_walk_finds_what_it_must() -> None:
    assert {"op.prune", "op.Model.save", "op.Result.verify", "op.passes.Repair.run"} <= set(
        FUNCTIONS
    )
    assert len(FUNCTIONS) > 60


@pytest.mark.parametrize("name", OBJECTS)
def test_names_are_documented(name: str) -> None:
    thing = OBJECTS[name]
    if isinstance(thing, dict):
        assert thing
        return
    assert inspect.getdoc(thing)
    assert not (inspect.getdoc(thing) or "").startswith(f"{thing.__name__}("), "it wrote itself"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_documented_and_typed(name: str) -> None:
    function = FUNCTIONS[name]
    text = inspect.getdoc(function)
    assert text
    signature = inspect.signature(function)
    parameters = {k: p for k, p in signature.parameters.items() if k not in ("self", "cls")}
    assert all(p.annotation is not p.empty for p in parameters.values())
    assert signature.return_annotation is not signature.empty
    if "Args:" in text:
        named = set(re.findall(r"^    (\w+):", text.split("Args:")[1], re.M))
        assert named >= parameters.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_say_what_they_raise(name: str) -> None:
    function = FUNCTIONS[name]
    assert documented(function) >= raised_in(function)
    assert all(hasattr(errors, known) or hasattr(builtins, known) for known in documented(function))


@pytest.mark.parametrize(
    "name", [name for name, kind in CLASSES.items() if name != "op.DependencyGraph"]
)
def test_fields_are_documented(name: str) -> None:
    kind = CLASSES[name]
    if not dataclasses.is_dataclass(kind):
        assert kind.__doc__
        return
    text = " ".join(owner.__doc__ or "" for owner in kind.__mro__)
    public = {field.name for field in dataclasses.fields(kind) if not field.name.startswith("_")}
    assert {key for key in public if not re.search(rf"\b{key}\b", text)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_what_the_pages_name_is_public(page: str) -> None:
    names = set(re.findall(r"\bop\.((?:passes\.)?[A-Za-z_]+)", (ROOT / page).read_text()))
    assert {name for name in names if f"op.{name}" not in OBJECTS and name != "passes"} == set()


def test_every_public_name_has_a_home() -> None:
    assert set(op.__all__) <= set(dir(op))
    with pytest.raises(AttributeError, match="no attribute 'prunes'"):
        _ = op.prunes


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "onnxprune", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"onnxprune \S.*\n", done.stdout)
