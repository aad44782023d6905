"""Help, completion, suggestions: what a terminal tells of commands before they run."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from onnxprune.cli import cli
from onnxprune.cli.command import Command
from onnxprune.passes.schedule import SCHEDULES
from onnxprune.runtime.providers import PROVIDER_NAMES
from tests.conftest import Run

HEADING = re.compile(r"^(\w.*):$", re.MULTILINE)


def examples() -> Iterator[tuple[str, ...]]:
    """The arguments of every example that a command shows."""
    for command in (cli, *cli.commands.values()):
        text = (command.epilog or "").replace("\\\n", " ")
        for line in re.findall(r"onnxprune (.*)", text.partition("Exit codes")[0]):
            yield tuple(shlex.split(re.split(r" (?:\||>)", line)[0]))


def parsed(arguments: tuple[str, ...]) -> click.Context:
    """The context of the command that the arguments name, with its options read."""
    with cli.make_context("onnxprune", [*arguments]) as context:
        _, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        return command.make_context(command.name, rest, parent=context)


@pytest.mark.parametrize("arguments", sorted(set(examples())), ids=" ".join)
def test_examples_are_understood(arguments: tuple[str, ...]) -> None:
    if "--help" in arguments:
        with pytest.raises(click.exceptions.Exit):
            parsed(arguments)
    else:
        context = parsed(arguments)
        assert (context.info_name in cli.commands, context.args) == (True, [])


def test_examples_of_pruning_make_pipelines(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class BegunError(Exception):
        """The work would begin now."""

    def begin(*_: object) -> None:
        raise BegunError

    monkeypatch.setattr(sys.modules["onnxprune.cli.prune"], "prepare", begin)
    own = [a for a in examples() if a[0] not in cli.commands]
    assert len(own) > 10
    for arguments in own:
        assert "BegunError" in run(*arguments).stderr, arguments


def test_every_command_has_an_example_and_says_how_loud_it_is() -> None:
    assert {arguments[0] for arguments in examples()} | {"prune"} >= cli.commands.keys()
    for command in cli.commands.values():
        assert isinstance(command, Command)
        options = {name for param in command.params for name in param.opts}
        assert options >= {"--quiet", "--verbose", "-q", "-v"}, command.name


def test_many_options_stand_under_headings(run: Run) -> None:
    for name in ("prune", "apply"):
        text = run(name, "--help").stdout
        headings = HEADING.findall(text)
        assert headings[-1] == "What is written and said"
        assert "More" not in headings
        context = click.Context(cli.commands[name], info_name=name)
        for param in cli.commands[name].get_params(context):
            shown = re.findall(rf"^  (?:-\w, )?{param.opts[-1]}(?![\w-])", text, re.MULTILINE)
            assert not isinstance(param, click.Option) or len(shown) == 1, param.opts
        assert max(map(len, text.splitlines())) <= 80
    assert HEADING.findall(run("prune", "--help").stdout)[0] == "How much goes"
    assert HEADING.findall(run("explain", "--help").stdout) == ["Options"]


@pytest.mark.parametrize(
    ("arguments", "incomplete", "expected"),
    [
        ((), "insp", ["inspect"]),
        ((), "--target-m", ["--target-macs", "--target-memory"]),
        (("in.onnx", "out.onnx"), "--round", ["--round-to"]),
        (("in.onnx", "--round-to"), "", ["auto"]),
        (("in.onnx", "--kinds"), "channel,he", ["channel,head", "channel,head_dim"]),
        (("in.onnx", "--kinds"), "+he", ["+head", "+head_dim"]),
        (("in.onnx", "--criterion"), "o", ["obs"]),
        (("in.onnx", "--scope"), "g", ["global"]),
        (("in.onnx", "--schedule"), "", list(SCHEDULES)),
        (("in.onnx", "--pattern"), "2", ["2:4"]),
        (("in.onnx", "--sparsity-method"), "w", ["wanda"]),
        (("in.onnx", "--quantize"), "d", ["dynamic"]),
        (("in.onnx", "--metric"), "top", ["top1", "top5"]),
        (("in.onnx", "--passes"), "fold-empty,rem", ["fold-empty,remove-redundant"]),
        (("benchmark", "a", "b", "--provider"), "", list(PROVIDER_NAMES)),
        (("doctor", "--provider"), "openv", ["openvino"]),
        (("completion",), "", ["bash", "zsh", "fish"]),
    ],
)
def test_values_are_completed(
    arguments: tuple[str, ...], incomplete: str, expected: list[str]
) -> None:
    assert completed(*arguments, incomplete=incomplete)[: len(expected)] == expected


def completed(*arguments: object, incomplete: str) -> list[str]:
    shell = ShellComplete(cli, {}, "onnxprune", "_ONNXPRUNE_COMPLETE")
    return [str(item.value) for item in shell.get_completions([*map(str, arguments)], incomplete)]


def test_names_in_models_are_completed(mlp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed("explain", mlp, incomplete="w") == ["w1", "wb", "w2"]
    assert completed(mlp, "out.onnx", "--ignore", incomplete="Mat") == ["MatMul"]
    assert completed(mlp, "out.onnx", "--input-shape", incomplete="") == ["x:"]
    assert completed("inspect", mlp, "--allow-io", incomplete="") == ["x:", "y:"]
    assert completed("explain", "nothing.onnx", incomplete="") == []
    monkeypatch.chdir(mlp.parent)
    assert completed(incomplete="in") == ["inspect", "in.onnx"]
    assert completed(incomplete=f"{mlp.parent}/i") == [str(mlp)]


def test_files_are_left_to_the_shell() -> None:
    shell = ShellComplete(cli, {}, "onnxprune", "_ONNXPRUNE_COMPLETE")
    for arguments, incomplete in (
        ([], "no/such"),
        (["in.onnx", "--data"], ""),
        (["gate", "--policy"], ""),
    ):
        (item,) = shell.get_completions(arguments, incomplete)
        assert item.type == "file"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_for_shells(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert (result.exit_code, f"_ONNXPRUNE_COMPLETE={shell}_complete" in result.stdout) == (0, True)
    assert run("completion", shell, "--quiet").stdout == result.stdout


@pytest.mark.parametrize(
    ("options", "nearest"),
    [
        (("--chanels", "0.3"), "--channels"),
        (("--kinds", "chanel"), "'channel'"),
        (("--scope", "globl"), "'global'"),
        (("--criterion", "wnda"), "'wanda'"),
        (("--input-shape", "xx:1,16"), "'x'"),
        (("--allow-io", "yy:1"), "'y'"),
        (("--ratio", "intermediat=0.5"), "'intermediate'"),
        (("--provider", "opnvino"), "'openvino'"),
        (("--quantize", "qdqq"), "'qdq'"),
        (("--metric", "agrement", "--data", "x.npz"), "'agreement'"),
        (("--schedule", "cubik"), "'cubic'"),
    ],
)
def test_what_is_mistyped_is_guessed(
    run: Run, mlp: Path, tmp_path: Path, options: tuple[str, ...], nearest: str
) -> None:
    amount = () if options[0] in ("--chanels", "--quantize") else ("--channels", "0.3")
    result = run(mlp, tmp_path / "out.onnx", *amount, *options)
    assert result.exit_code in (2, 4)
    assert nearest in result.stderr


def test_a_mistyped_option_of_the_group(run: Run) -> None:
    assert "--version" in run("--verson").stderr
    assert "--channels" in run("--chanels", "0.3", "in.onnx", "out.onnx").stderr


def test_patterns_that_fit_nothing_are_told(run: Run, mlp: Path, tmp_path: Path) -> None:
    options = ("--channels", "0.5", "--no-benchmark", "--ignore", "Matmul", "--ignore", "Softmax*")
    result = run(mlp, tmp_path / "out.onnx", *options, "--ignore", "Rel?")
    assert result.exit_code == 3  # Relu is ignored, and nothing else can be pruned
    assert "--ignore 'Matmul' fits nothing in the model; did you mean 'MatMul'?" in result.stderr
    assert "--ignore 'Softmax*' fits nothing in the model\n" in result.stderr
    assert "'Rel?'" not in result.stderr
