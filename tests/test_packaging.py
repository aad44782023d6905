"""What is installed is what stands in the tree, and importing it costs little."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.pages import ROOT


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_below(folder: Path, name: str) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        inner = path.parent.relative_to(folder).parts
        found.add(".".join((name, *inner)))
    return found


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code from the root of the project as a user does, who finds modules in his folder."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_the_package_list_equals_the_tree(project: dict[str, Any]) -> None:
    # The link is left out on purpose: whether rglob follows it depends on the version.
    tree = {
        name
        for name in packages_below(ROOT / "onnxprune", "onnxprune")
        if not name.startswith("onnxprune.passes")
    } | packages_below(ROOT / "passes", "onnxprune.passes")
    assert project["tool"]["setuptools"]["packages"] == sorted(tree)


def test_every_package_is_a_regular_one(project: dict[str, Any]) -> None:
    packages: list[str] = project["tool"]["setuptools"]["packages"]
    missing = [
        name for name in packages if not (ROOT.joinpath(*name.split(".")) / "__init__.py").is_file()
    ]
    assert missing == []


def test_passes_is_linked_and_typed() -> None:
    link = ROOT / "onnxprune" / "passes"
    assert link.is_symlink()
    assert link.readlink() == Path("../passes")
    assert (ROOT / "onnxprune" / "py.typed").is_file()


def test_passes_is_no_package_of_its_own() -> None:
    done = python("import passes")
    assert done.returncode != 0
    assert "onnxprune.passes" in done.stderr


def test_importing_it_is_cheap() -> None:
    done = python(
        "import sys, onnxprune\n"
        "heavy = {'onnxruntime', 'torch', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert (done.stdout.strip(), done.stderr.strip()) == ("[]", "")


RUNTIMES = ("cpu", "gpu", "tensorrt", "openvino")


def runtimes_in(requirements: list[str]) -> set[str]:
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
    return {name for name in names if re.fullmatch(r"onnxruntime(-\w+)?", name)}


def test_no_two_onnxruntimes_are_installed_beside_each_other(project: dict[str, Any]) -> None:
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    extras = extras | {"tensorrt": [*extras["tensorrt"], *extras["gpu"]]}
    assert "onnxprune[gpu]" in extras["tensorrt"]
    assert runtimes_in(project["project"]["dependencies"]) == set()
    found = {name: runtimes_in(requirements) for name, requirements in extras.items()}
    assert all(len(found[name]) == 1 for name in RUNTIMES)
    assert {name for name, runtimes in found.items() if runtimes} == set(RUNTIMES)


def test_the_version_stands_in_one_place(project: dict[str, Any]) -> None:
    version: str = project["project"]["version"]
    headings = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == version
    sources = (*(ROOT / "onnxprune").rglob("*.py"), *(ROOT / "passes").rglob("*.py"))
    assert [path for path in sources if f'"{version}"' in path.read_text()] == []


def test_dependencies_are_those_that_are_imported(project: dict[str, Any]) -> None:
    """Beside them only what is chosen by an extra or a user, and protobuf, which onnx brings."""
    imported: set[str] = set()
    for folder in ("onnxprune", "passes"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.partition(".")[0])
    asked = {re.split(r"[<>=]", entry)[0] for entry in project["project"]["dependencies"]}
    needed = {name.replace("-", "_") for name in asked}
    assert needed <= imported
    optional = {"onnxruntime", "pytest", "google", "onnxprune"}
    assert imported - sys.stdlib_module_names - needed - optional == set()
