"""Functions that users name as ``module:function``, and what goes wrong in them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from traceback import walk_tb
from types import ModuleType
from typing import Any, cast

from onnxprune.errors import OnnxPruneError, UsageError, suggestion

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_END = object()


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function that somebody else wrote.

    Attributes:
        name: what to call it in messages.
        module: where it was defined.
        call: the function itself.
    """

    name: str
    module: str
    call: Callable[..., object]

    def __call__(self, *arguments: object) -> object:
        """Call it.

        Raises:
            UsageError: it failed; the error names the line.
        """
        with _running(self.name, self.module):
            return self.call(*arguments)

    def items(self) -> Iterator[object]:
        """Call it without arguments, and go through what it yields; a mapping counts as one item.

        Raises:
            UsageError: it failed, or yields nothing that one can go through.
        """
        made = self()
        if isinstance(made, Mapping):
            yield cast(object, made)
            return
        if not isinstance(made, Iterable):
            raise UsageError(
                "the function yields nothing",
                where=self.name,
                why=f"it returned an object of type {type(made).__name__}",
                hint="write it as a generator that yields dicts of arrays",
            )
        with _running(self.name, self.module):
            iterator = iter(cast(Iterable[object], made))
        while True:
            with _running(self.name, self.module):
                item = next(iterator, _END)
            if item is _END:
                return
            yield item


def is_function_name(text: str) -> bool:
    """Whether it reads ``module:function``, both with dots or without."""
    return _NAME.fullmatch(text) is not None


def user_function(source: str | Callable[..., object]) -> UserFunction:
    """A function by its name; modules in the current folder can be named like installed ones.

    Args:
        source: ``module:function``, or the function itself.

    Raises:
        UsageError: there is no such function, or its module failed.
    """
    if not isinstance(source, str):
        name = getattr(source, "__qualname__", type(source).__qualname__)
        return UserFunction(name, source.__module__, source)
    module_name, _, path = source.partition(":")
    module = _imported(module_name, source)
    try:
        found: Any = reduce(getattr, path.split("."), module)
    except AttributeError as error:
        raise UsageError(
            f"module {module_name!r} has no {path!r}",
            where=source,
            hint=suggestion(path, vars(module)) or "check the name",
        ) from error
    if not callable(found):
        raise UsageError(
            "it cannot be called", where=source, why=f"it is of type {type(found).__name__}"
        )
    return UserFunction(source, getattr(found, "__module__", module_name), found)


def _imported(name: str, source: str) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        with _running(source, name):
            return import_module(name)
    except UsageError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and f"{name}.".startswith(f"{cause.name}."):
            raise UsageError(
                f"there is no module {cause.name!r}",
                where=source,
                hint="run the command in the folder of the module, or install it",
            ) from cause
        raise


@contextmanager
def _running(name: str, module: str) -> Generator[None]:
    try:
        yield
    except OnnxPruneError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{name} failed",
            where=_line_of(error, module),
            why=f"{type(error).__name__}: {error}".rstrip(": "),
            hint="this is not onnxprune's code: run it on its own to see more",
        ) from error


def _line_of(error: BaseException, module: str) -> str:
    """The innermost line of the module that an error went through, or of any."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = list(walk_tb(error.__traceback__))
    own = [place for place in frames if place[0].f_globals.get("__name__") == module]
    frame, line = (own or frames)[-1]
    return f"{frame.f_code.co_filename}, line {line}"
