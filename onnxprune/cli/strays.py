"""Patterns that fit nothing in a model: a name is mistyped more likely than not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnxprune.cli.console import Output
from onnxprune.coupling.analysis import Analysis
from onnxprune.errors import suggestion
from onnxprune.ir.graph import matches, nodes
from onnxprune.ir.model import Model


def note_strays(
    out: Output,
    option: str,
    patterns: Sequence[str],
    model: Model,
    analyses: Iterable[Analysis] = (),
) -> None:
    """Say which patterns fit no node, value, operator type or body.

    Args:
        out: where to say it.
        option: the option that they were given with.
        patterns: as given.
        model: what they are tried on.
        analyses: of it; other names come in where functions are inlined.
    """
    if not patterns:
        return
    order = [*nodes(model.proto), *(p.node for analysis in analyses for p in analysis.placed)]
    names = dict.fromkeys(name for node in order for name in node.names if name)
    names |= dict.fromkeys(body.name for node in order for body in node.bodies)
    for pattern in patterns:
        if not matches(names, [pattern]):
            hint = suggestion(pattern.strip("*"), names)
            out.note(f"{option} {pattern!r} fits nothing in the model" + (hint and f"; {hint}"))
