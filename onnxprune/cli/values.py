"""What a shell may complete values to: names of things, and names in the model at hand.

Completion never fails and never says anything: a model that cannot be read has no names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from onnxprune.coupling.groups import KINDS
from onnxprune.errors import OnnxPruneError
from onnxprune.ir.bindings import graph_inputs
from onnxprune.ir.graph import nodes
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.passes import PASSES
from onnxprune.passes.plugins import Registry

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""What click asks: the values of a parameter that begin with a text."""

_MODEL_SUFFIX = ".onnx"


def words(names: Iterable[str]) -> Completer:
    """Completes to one of some names.

    Args:
        names: what there is.
    """
    return lambda ctx, param, incomplete: _items(names, incomplete)


def registered(registry: Registry[Any]) -> Completer:
    """Completes to a name that is ours or that an installed package adds.

    Args:
        registry: what there is.
    """
    return lambda ctx, param, incomplete: _items(registry.names, incomplete)


def kinds(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes the last of a list of kinds of groups, ``+KIND`` included."""
    del ctx, param
    plus = "+" if incomplete.rpartition(",")[2].startswith("+") else ""
    return _last((*(plus + kind for kind in KINDS), *(() if plus else ("all",))), incomplete)


def passes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes the name of the last pass of a pipeline."""
    del ctx, param
    return _last(PASSES, incomplete)


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leaves it to the shell to find a file."""
    del ctx, param
    return [CompletionItem(incomplete, type="file")]


def models(incomplete: str) -> list[CompletionItem]:
    """Models, to stand beside commands; shells do not mix words with files that they find."""
    folder, _, start = incomplete.rpartition("/")
    try:
        found = sorted(Path(folder + "/" if folder else ".").iterdir())
    except OSError:
        return []
    fitting = [path for path in found if path.name.startswith(start) and path.name[0] != "."]
    lead = incomplete[: len(incomplete) - len(start)]
    shown = [lead + path.name for path in fitting if path.suffix == _MODEL_SUFFIX]
    return [CompletionItem(name) for name in shown]


def names_in_model(of: Callable[[Model], Iterable[str]]) -> Completer:
    """Completes to names in the model that the command line has so far.

    Args:
        of: finds the names.
    """

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        del param
        given = [ctx.params.get(name) for name in ("model", "source", "original")]
        # Behind an option that still lacks its value, arguments are left as they are.
        given += [text for text in ctx.args if text.endswith(_MODEL_SUFFIX)]
        path = next((path for path in given if path), None)
        try:
            names = () if path is None else of(load(path))
        except OnnxPruneError:
            return []
        return _items(dict.fromkeys(names), incomplete)

    return complete


def inside(model: Model) -> Iterable[str]:
    """Nodes, then the values that they make, then weights."""
    order = nodes(model.proto)
    yield from (node.name for node in order if node.name)
    yield from (name for node in order for name in node.outputs if name)
    yield from model.constants


def patterns(model: Model) -> Iterable[str]:
    """Operator types, then names of nodes."""
    order = nodes(model.proto)
    yield from sorted({node.op_type for node in order})
    yield from (node.name for node in order if node.name)


def inputs(model: Model) -> Iterable[str]:
    """Inputs, with what separates them from their sizes."""
    yield from (f"{info.name}:" for info in graph_inputs(model.proto))


def ports(model: Model) -> Iterable[str]:
    """Inputs and outputs, with what separates them from an axis."""
    yield from inputs(model)
    yield from (f"{info.name}:" for info in model.proto.graph.output)


def _last(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Complete the last of names with commas between them."""
    before, comma, start = incomplete.rpartition(",")
    return _items((before + comma + name for name in names if name.startswith(start)), incomplete)


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
