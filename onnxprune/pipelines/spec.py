"""Textual pipelines: ``fold-constants,remove-channels{ratio=0.3,kinds=head|channel},fold-empty``.

Names and options are those of the pass classes: a pass is a frozen dataclass, its fields are its
options. Several values of one option are joined by ``|``.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, get_args, get_origin, get_type_hints

from onnxprune.errors import UsageError, suggestion, unknown
from onnxprune.passes import PASSES
from onnxprune.passes.work import Pass

_STEP = re.compile(r"\s*([a-z][a-z0-9-]*)\s*(?:\{([^{}]*)\})?\s*(?:,|$)")

_TRUTHS = {"true": True, "false": False}


def parse_pipeline(text: str) -> list[Pass]:
    """Read a textual pipeline.

    Raises:
        UsageError: it is malformed, or names a pass, an option or a value that there is not.
    """
    passes: list[Pass] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise UsageError(
                "the pipeline cannot be read",
                where=f"at {text[position:]!r}",
                hint="write passes as NAME or NAME{option=value,…}, separated by commas",
            )
        passes.append(_make(match[1], match[2] or ""))
        position = match.end()
    if not passes:
        raise UsageError("the pipeline has no passes", hint="see `onnxprune passes`")
    return passes


def spec_of(step: Pass) -> str:
    """A pass as text; options that have their default are left out."""
    options: list[str] = []
    for option in dataclasses.fields(step):  # type: ignore[arg-type]
        value = getattr(step, option.name)
        if value != option.default:
            many = isinstance(option.default, tuple)
            shown = "|".join(map(str, value)) if many else str(value)
            options.append(f"{option.name}={shown}")
    return step.name + ("{" + ",".join(options) + "}" if options else "")


def options_of(kind: type[Pass]) -> dict[str, tuple[str, str]]:
    """Each option of a pass with its type and its default, as text."""
    hints = get_type_hints(kind)
    return {
        option.name: (_type_name(hints[option.name]), str(option.default))
        for option in dataclasses.fields(kind)  # type: ignore[arg-type]
    }


def _make(name: str, options: str) -> Pass:
    if name not in PASSES:
        raise unknown("pass", name, PASSES)
    kind = PASSES[name]
    hints = get_type_hints(kind)
    allowed = [option.name for option in dataclasses.fields(kind)]
    values: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in options.split(","))):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in allowed:
            hint = suggestion(key, allowed) or f"it has {', '.join(allowed) or 'none'}"
            raise UsageError(f"pass {name} has no option {key!r}", where=f"in {part!r}", hint=hint)
        values[key] = _convert(value.strip(), hints[key], f"{name}{{{part}}}")
    step: Pass = kind(**values)
    return step


def _convert(text: str, hint: Any, where: str) -> Any:
    if get_origin(hint) is tuple:
        return tuple(text.split("|"))
    kinds = [hint, *get_args(hint)]
    if bool in kinds and (truth := _TRUTHS.get(text.lower())) is not None:
        return truth
    if hint is bool:
        raise UsageError(f"{text!r} is neither true nor false", where=where)
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                if str not in kinds:
                    raise UsageError(f"{text!r} is no number", where=where) from None
    return text


def _type_name(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return "names joined by |"
    choices = [str(choice) for choice in get_args(hint)]
    if choices and not any(isinstance(choice, type) for choice in get_args(hint)):
        return " | ".join(choices)
    return getattr(hint, "__name__", str(hint)).replace("int | str", "number or auto")
