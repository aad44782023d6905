"""What the pages for readers say can be done: every command parses, and those that can run do."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest

import onnxprune as op
from onnxprune.cli import cli
from onnxprune.cli.group import DEFAULT
from onnxprune.coupling.groups import Group
from onnxprune.errors import UsageError
from onnxprune.ir.graph import all_graphs, all_nodes
from onnxprune.passes.score.scoring import Scores, Scoring
from onnxprune.passes.work import PassReport, Work
from tests.conftest import FIXTURES, Run
from tests.pages import PAGES, ROOT, arguments, code, commands
from tests.texts import assert_valid, model_of, op_types

COMMANDS = [(page, command) for page in PAGES for command in commands(page, "onnxprune")]
TOOLS = [(page, command) for page in PAGES for command in commands(page, "tools/")]
STAND_INS = {
    "IN": "in.onnx",
    "OUT": "out.onnx",
    "layer4.conv1": "/stem/stem.0/Conv",
    "finetuned.pt": "finetuned.npz",
    "fixtures/digits_test.npz": "test.npz",
}
"""What takes the place of names that the fixtures do not have."""
QUICK = {"prune": ["--no-benchmark"], "benchmark": ["--budget", "0.1"]}
"""Speed is measured no longer than it must."""
SAMPLES = 24
VERDICTS = {"benchmark": {0, 6}, "gate": {0, 1, 6}}
"""Exit codes that are no errors; how fast a model is cannot be told here."""


def subcommand(words: list[str]) -> tuple[str, list[str]]:
    """The name of the command that is meant, and its arguments."""
    return (words[0], words[1:]) if words[0] in cli.commands else (DEFAULT, words)


def stood_in(command: str) -> list[str]:
    words = [STAND_INS.get(word, word) for word in arguments(command)]
    return [str(ROOT / word) if word.startswith("fixtures/") else word for word in words]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the pages name, to be copied."""
    folder = tmp_path_factory.mktemp("furnished")
    for name in ("in.onnx", "checkpoint2.onnx"):
        shutil.copy(FIXTURES / "digits_cnn.ts.onnx", folder / name)
    for name in ("test", "cal", "calibration"):
        with np.load(
            FIXTURES / f"digits_{'test' if name == 'test' else 'calibration'}.npz"
        ) as all_:
            np.savez(folder / f"{name}.npz", **{key: all_[key][:SAMPLES] for key in all_})
    result = op.prune(folder / "in.onnx", 0.3)
    result.model.save(folder / "out.onnx")
    result.plan.save(folder / "plan.json")
    weights: dict[str, Any] = {k: t.numpy() for k, t in result.model.constants.items()}
    np.savez(folder / "finetuned.npz", **weights)
    op.Pipeline("fold-constants,quantize{mode=dynamic}").run(folder / "in.onnx").model.save(
        folder / "in.int8.onnx"
    )
    optimize(folder / "in.onnx", folder / "in.fused.onnx")
    groups, policy = code("README.md", "toml")
    (folder / "groups.toml").write_text(groups)
    # A baseline is there once a release has passed; only then can it be compared with.
    (folder / "policy.toml").write_text(policy.split("[baseline]")[0])
    return folder


def optimize(model: Path, target: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3  # that the file is for this machine alone is what we want
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


@pytest.fixture
def here(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with all of these, in which the test runs."""
    folder = tmp_path / "here"
    shutil.copytree(furnished, folder)
    monkeypatch.chdir(folder)
    return folder


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 25
    assert len(TOOLS) > 5
    assert {subcommand(arguments(command))[0] for _, command in COMMANDS} >= {
        "prune", "inspect", "explain", "graph", "sensitivity", "verify", "benchmark", "gate",
        "apply", "import-weights", "doctor",
    }  # fmt: skip


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_parse(page: str, command: str, here: Path) -> None:
    name, words = subcommand(stood_in(command))
    context = cli.commands[name].make_context(name, words, parent=click.Context(cli))
    assert context.params


@pytest.mark.parametrize(("page", "command"), [x for x in COMMANDS if "--provider" not in x[1]])
def test_commands_run(run: Run, page: str, command: str, here: Path) -> None:
    name, words = subcommand(stood_in(command))
    ran = run(name, *words, *QUICK.get(name, []))
    assert ran.exit_code in VERDICTS.get(name, {0}), ran.output


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_text_exist(page: str) -> None:
    named = re.findall(r"`onnxprune ([a-z-]+)(?=[ `])", (ROOT / page).read_text())
    assert set(named) <= cli.commands.keys()


@pytest.mark.parametrize("page", PAGES)
def test_options_in_the_text_exist(page: str) -> None:
    """Options in backticks belong to a command, to a tool, or to the tests."""
    text = (ROOT / page).read_text()
    named = {option for span in re.findall(r"`([^`]+)`", text) for option in options(span)}
    known = {o for c in cli.commands.values() for p in c.params for o in p.opts + p.secondary_opts}
    scripts = "".join(p.read_text() for p in (ROOT / "tools").iterdir() if p.is_file())
    assert {o for o in named - known - {"--version", "--help"} if o not in scripts} == set()


def options(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)


@pytest.mark.parametrize(("page", "command"), TOOLS)
def test_tools_have_their_options(page: str, command: str) -> None:
    tool = ROOT / command.split()[0]
    script = tool.with_name(f"{tool.name}.py")
    text = tool.read_text() + (script.read_text() if script.exists() else "")
    assert [option for option in options(command) if option not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_in_the_text_exist(page: str) -> None:
    """Links, and paths in backticks that begin with a folder of the project."""
    text, folder = (ROOT / page).read_text(), (ROOT / page).parent
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [link for link in links if not (folder / link).exists()] == []
    paths = re.findall(r"`((?:passes|tests|tools|fixtures|onnxprune)/[\w./-]+)`", text)
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert [path for path in missing if "NAME" not in path] == []


def test_the_library(here: Path) -> None:
    model = op.load("in.onnx")
    weights = {name: tensor.numpy() for name, tensor in model.constants.items()}
    library, _ = code("README.md", "python")
    names: dict[str, Any] = {"state_dict": weights}
    exec(compile(library, "README.md", "exec"), names)
    assert op.load("out.onnx").parameters < 0.8 * model.parameters
    assert op.Plan.load("plan.json").initializers == names["result"].plan.initializers
    assert {name for name in weights if weights[name].shape != names["sliced"][name].shape}


def test_the_pass_and_the_criterion() -> None:
    """What `passes/README.md` shows works with nothing but the imports."""
    a_pass, a_criterion = code("passes/README.md", "python")
    names: dict[str, Any] = {
        "ClassVar": ClassVar, "Group": Group, "PassReport": PassReport, "Scores": Scores,
        "Scoring": Scoring, "UsageError": UsageError, "Work": Work, "all_graphs": all_graphs,
        "all_nodes": all_nodes, "dataclass": dataclass,
    }  # fmt: skip
    exec(compile(a_pass, "passes/README.md", "exec"), names)
    exec(compile(a_criterion, "passes/README.md", "exec"), names)
    text = """g (float[n,3] x, bool c) => (float[n,3] y) {
        i = Identity(x)
        h = If (c) <
            then_branch = then () => (float[n,k] a) { a = MatMul(i, w1) },
            else_branch = else () => (float[n,k] b) { s = MatMul(i, w1) b = Sin(s) }
        >
        y = MatMul(h, w2)
    }"""
    model = model_of(text, {"w1": (3, 10), "w2": (10, 3)})
    result = op.Pipeline([names["FoldIdentities"]()]).run(model)
    assert op_types(result.model) == ["If", "MatMul"]
    assert op_types(model) == ["Identity", "If", "MatMul"]
    assert_valid(result.model)
    assert result.reports[0].did == ["removed 1 nodes"]
    assert not op.Pipeline([names["FoldIdentities"](limit=0)]).run(model).reports[0].modified
    with pytest.raises(UsageError, match="negative"):
        names["FoldIdentities"](limit=-1)
    removal = op.prune(model, 0.3).removals[0]
    ((group, scores),) = names["spread"](Scoring(removal.analysis, removal.chosen)).items()
    assert scores.shape == (group.size,)


def test_the_policy(tmp_path: Path) -> None:
    _, text = code("README.md", "toml")
    (tmp_path / "policy.toml").write_text(text)
    policy = op.Policy.load(tmp_path / "policy.toml")
    assert policy.metric
    assert policy.baseline


def test_the_plan() -> None:
    (text,) = code("README.md", "json")
    assert op.Plan.from_json(json.loads(text)).initializers == {"conv1.weight": {0: (0, 2, 5)}}
