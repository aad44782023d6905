"""Functions named by users: where they come from, and how their failures are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from onnxprune.data.dataset import open_data
from onnxprune.data.user_code import is_function_name, user_function
from onnxprune.errors import OnnxPruneError, UsageError
from tests.data.sources import X, numbers


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.py"
    path.write_text(dedent(text))
    return str(path)


def refused(name: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        list(open_data(name, X))
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("calib:feeds", True),
        ("a.b:C.d", True),
        ("calib", False),
        ("data/calib:feeds", False),
        ("C:\\data", False),
        ("a:b:c", False),
        ("", False),
    ],
)
def test_names_of_functions_are_told_from_paths(text: str, expected: bool) -> None:
    assert is_function_name(text) == expected


def test_modules_in_the_current_folder_are_found(folder: Path) -> None:
    write(
        folder,
        "calib_found",
        """
        import numpy as np

        class Data:
            @staticmethod
            def feeds():
                yield {"x": np.full((2, 3), 4.0)}
        """,
    )
    data = open_data("calib_found:Data.feeds", X)
    assert data.source == "calib_found:Data.feeds"
    assert numbers(data) == [[4, 4]]


def test_a_path_of_that_name_comes_first(folder: Path) -> None:
    (folder / "a:b").mkdir()
    np.save(folder / "a:b" / "x.npy", np.ones((2, 3), np.float32))
    assert numbers(open_data("a:b", X)) == [[1, 1]]


def test_a_module_that_there_is_not_is_named(folder: Path) -> None:
    for name in ("calib_gone:feeds", "calib_gone.inner:feeds"):
        error = refused(name)
        assert error.message == "there is no module 'calib_gone'"
        assert "run the command in the folder of the module" in error.hint


def test_a_function_that_there_is_not_is_named(folder: Path) -> None:
    write(folder, "calib_names", "def feeds(): pass\nnumber = 3\n")
    error = refused("calib_names:feed")
    assert error.message == "module 'calib_names' has no 'feed'"
    assert error.hint == "did you mean 'feeds'?"
    assert refused("calib_names:zzz").hint == "check the name"
    assert refused("calib_names:number").why == "it is of type int"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("import numpy\nimport no_such_thing\n", 2, "ModuleNotFoundError: No module named"),
        ("x = 1\ny = (\n", 2, "SyntaxError: "),
        ("import sys\n\nsys.exit(3)\n", 3, "SystemExit: 3"),
        ("def feeds():\n    yield {}[1]\n", 2, "KeyError: 1"),
        ("def feeds():\n    raise StopIteration\n", 2, "StopIteration"),
        ("import numpy\ndef feeds():\n    numpy.load('gone.npy')\n", 3, "FileNotFoundError: "),
        ("def f(): return 1 / 0\ndef feeds(): return f()\n", 1, "ZeroDivisionError: "),
    ],
)
def test_failures_name_the_line(folder: Path, text: str, line: int, why: str) -> None:
    name = f"calib_line_{abs(hash(text))}"
    path = write(folder, name, text)
    error = refused(f"{name}:feeds")
    assert error.message == f"{name}:feeds failed"
    assert error.where == f"{path}, line {line}"
    assert error.why.startswith(why)
    assert "Traceback" not in error.render()


def test_a_failure_after_some_samples() -> None:
    def feeds() -> Iterator[dict[str, object]]:
        yield {"x": np.zeros((1, 3))}
        raise ValueError("no more")

    data = iter(open_data(feeds, X, batch=1))
    assert next(data).size == 1
    with pytest.raises(UsageError) as caught:
        next(data)
    assert __file__ in caught.value.where
    assert caught.value.why == "ValueError: no more"


def test_errors_of_onnxprune_and_interruptions_pass() -> None:
    def fails(error: BaseException) -> None:
        raise error

    function = user_function(fails)
    for error in (OnnxPruneError("told already"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            function(error)
        assert caught.value is error
